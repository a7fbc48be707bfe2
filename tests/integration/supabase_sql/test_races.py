"""Commits at the same moment: each sees what the others did, or is refused."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from database.core.context import SERVICE
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import Race
from tests.integration.supabase_sql.support import RefusedError
from tests.integration.supabase_sql.support import Wire
from tests.integration.supabase_sql.support import absent
from tests.integration.supabase_sql.support import become
from tests.integration.supabase_sql.support import delete
from tests.integration.supabase_sql.support import insert
from tests.integration.supabase_sql.support import part
from tests.integration.supabase_sql.support import ranged
from tests.integration.supabase_sql.support import read
from tests.integration.supabase_sql.support import request
from tests.integration.supabase_sql.support import thing
from tests.integration.supabase_sql.support import update
from tests.integration.supabase_sql.support import wait_for_a_waiting_session

THREADS = 8
ROUNDS = 10
A = thing("a")


@pytest.mark.parametrize("step", [update({**A, "rank": 1}), delete("a")], ids=["update", "delete"])
def test_one_of_many_that_saw_the_same_record_wins(project: Project, step: Wire) -> None:
    for _ in range(ROUNDS):
        project.execute("delete from things")
        project.commit(steps=[insert(A)])
        ends = Race(project, [{"reads": [read(A)], "steps": [step]}] * THREADS).run()
        assert ends == ["IS409"] * (THREADS - 1) + ["applied"]


def test_one_of_many_that_saw_no_record_inserts_it(project: Project) -> None:
    for number in range(ROUNDS):
        name = str(number)
        ends = Race(project, [{"reads": [absent(name)], "steps": [insert(thing(name))]}] * THREADS).run()
        assert ends == ["IS409"] * (THREADS - 1) + ["applied"]


def test_a_key_that_all_send_is_applied_once(project: Project) -> None:
    for number in range(ROUNDS):
        sent = request(steps=[insert(thing(str(number)))])
        assert Race(project, [sent] * THREADS).run() == ["applied"] + ["replayed"] * (THREADS - 1)
    assert len(project.rows()) == ROUNDS


def test_no_row_slips_into_what_another_has_counted(project: Project) -> None:
    """Everybody saw an empty table and adds a row: only one may."""
    for _ in range(ROUNDS):
        project.execute("delete from things")
        commits = [{"ranges": [ranged([])], "steps": [insert(thing(str(number)))]} for number in range(THREADS)]
        ends = Race(project, commits).run()
        assert ends == ["IS409"] * (THREADS - 1) + ["applied"]
        assert len(project.rows()) == 1


def test_two_that_build_on_each_others_tables_do_not_both_win(project: Project) -> None:
    """Write skew: each reads one record and changes the other."""
    b = thing("b")
    for _ in range(ROUNDS):
        project.execute("delete from things")
        project.commit(steps=[insert(A), insert(b)])
        first = {"reads": [read(A), read(b)], "steps": [update({**A, "rank": 1})]}
        second = {"reads": [read(A), read(b)], "steps": [update({**b, "rank": 1})]}
        assert Race(project, [first, second]).run() == ["IS409", "applied"]


def test_opposite_orders_over_three_tables_never_lock_each_other_out(project: Project) -> None:
    project.commit(steps=[insert(thing(name)) for name in "abc"])
    project.commit(steps=[insert(part(name, name), "parts") for name in "abc"])
    project.commit(steps=[insert({"id": name, "body": "0"}, "notes") for name in "abc"])

    def work(thread: int) -> Counter[str]:
        ends: Counter[str] = Counter()
        for turn in range(ROUNDS):
            names = "abc" if (thread + turn) % 2 else "cba"
            steps = [
                *[update({"id": name, "rank": turn}) for name in names],
                *[update({"id": name, "body": str(thread)}, "notes") for name in names],
                *[update({"id": name, "name": str(thread)}, "parts") for name in names],
            ]
            ranges = [ranged([], table="notes", where={"op": "or", "parts": []})] if turn % 3 == 0 else []
            try:
                project.commit(steps=steps if turn % 2 else steps[::-1], ranges=ranges)
                ends["applied"] += 1
            except RefusedError as error:
                ends[str(error.state)] += 1
        return ends

    with ThreadPoolExecutor(THREADS) as workers:
        ends = sum(workers.map(work, range(THREADS)), Counter())
    assert ends == {"applied": THREADS * ROUNDS}


def test_one_that_is_no_commit_is_noticed_as_well(project: Project) -> None:
    """Somebody updates a record directly, and a commit that has seen the old one waits for them."""
    project.commit(steps=[insert(A)])
    for step in (update({**A, "rank": 1}), delete("a")):
        with psycopg.connect(project.database.dsn) as other, ThreadPoolExecutor(1) as workers:
            other.execute("update things set rank = rank + 5")
            commit = workers.submit(Race(project, [{"reads": [read(A)], "steps": [step]}]).run)
            wait_for_a_waiting_session(project)
            other.commit()
            assert commit.result(timeout=20) == ["IS409"]


def test_readers_are_not_in_the_way_of_commits(project: Project) -> None:
    project.commit(steps=[insert(A)])
    with psycopg.connect(project.database.dsn) as reader, psycopg.connect(project.database.dsn) as writer:
        become(reader, SERVICE)
        reader.execute("select * from things")
        become(writer, SERVICE)
        writer.execute("set local statement_timeout = '5s'")
        sent = request(reads=[read(A)], ranges=[ranged([A])], steps=[update({**A, "rank": 1})])
        writer.execute("select isthmus_commit(%s::jsonb)", [json.dumps(sent)])
