"""A sequence is moved behind copied keys while others draw from it: it gives no number twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg

from database.backends.postgres.dialect import DIALECT
from tests.servers.postgres import PostgresDatabase

DRAWERS = 3
MOVES = 150


def test_a_sequence_that_is_moved_gives_no_number_twice(postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("create table visits (id bigint generated always as identity primary key)")
    statement = DIALECT.pass_number
    assert statement is not None
    done = Event()

    def draw(_: int) -> list[int]:
        numbers: list[int] = []
        with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
            while not done.is_set():
                found = connection.execute("select nextval('visits_id_seq') from generate_series(1, 20)").fetchall()
                numbers += [number for (number,) in found]
        return numbers

    def move() -> None:
        with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
            for _ in range(MOVES):
                last = connection.execute("select last_value from visits_id_seq").fetchone()
                assert last is not None
                connection.execute(statement.encode(), (last[0] + 5, "visits", "id"))

    with ThreadPoolExecutor(DRAWERS + 1) as pool:
        drawing = [pool.submit(draw, place) for place in range(DRAWERS)]
        try:
            pool.submit(move).result(timeout=60)
        finally:
            done.set()
        numbers = [number for each in drawing for number in each.result(timeout=60)]
    assert len(set(numbers)) == len(numbers)
