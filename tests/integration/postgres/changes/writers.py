"""Transactions that overlap: threads that insert, update and delete the same few rows."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from threading import Event

import psycopg

from tests.servers.postgres import PostgresDatabase

ROWS = 30

_CHANGES = (
    "insert into notes (id, body) values (%s, '0') on conflict (id) do update set body = notes.body || 'x'",
    "insert into notes (id, body) values (%s, '0') on conflict (id) do nothing",
    "update notes set body = body || 'y' where id = %s",
    "delete from notes where id = %s",
)


@contextmanager
def writing(database: PostgresDatabase, writers: int) -> Iterator[Event]:
    """Have threads write during the block; the event ends them."""
    stop = Event()
    with ThreadPoolExecutor(writers) as pool:
        done = [pool.submit(_write, database, Random(seed), stop) for seed in range(writers)]
        try:
            yield stop
        finally:
            stop.set()
        for one in done:
            one.result()


def _write(database: PostgresDatabase, random: Random, stop: Event) -> None:
    with psycopg.connect(database.dsn) as connection:
        while not stop.is_set():
            # Always in the same order, so that none waits for the other.
            for row in sorted(random.sample(range(ROWS), random.randint(1, 4))):
                connection.execute(random.choice(_CHANGES), [f"{row:02}"])
                if random.random() < 0.2:
                    stop.wait(random.random() * 0.02)
            if random.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()
