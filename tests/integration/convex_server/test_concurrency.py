from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.integration.convex_server.support import Caller
from tests.integration.convex_server.support import deploy_key
from tests.servers.tokens import TokenSigner

THREADS = 8
ROUNDS = 25


def test_no_request_sees_the_identity_of_another(caller: Caller, token_signer: TokenSigner) -> None:
    def views(thread: int) -> list[set[str | None]]:
        subject = f"user-{thread}" if thread % 4 else None
        if subject is None:
            authorization = None
        elif thread % 2:
            authorization = f"Bearer {token_signer.token(subject)}"
        else:
            authorization = deploy_key(caller.deployment, {"issuer": "isthmus", "subject": subject})
        seen = [caller.value("query", "deep/probe:viewer", authorization) for _ in range(ROUNDS)]
        return [{identity and identity["subject"] for identity in viewer.values()} ^ {subject} for viewer in seen]

    with ThreadPoolExecutor(THREADS) as pool:
        assert [wrong for views_ in pool.map(views, range(THREADS)) for wrong in views_ if wrong] == []


def test_concurrent_mutations_are_all_applied(caller: Caller) -> None:
    def add(thread: int) -> None:
        for number in range(ROUNDS):
            caller.value("mutation", "notes:add", text=f"{thread} {number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add, range(THREADS)))
    notes = caller.notes()
    assert len(set(notes)) == len(notes) == THREADS * ROUNDS


def test_a_failing_request_rolls_nothing_else_back(caller: Caller) -> None:
    def work(thread: int) -> None:
        for number in range(ROUNDS):
            if thread % 2:
                caller.outcome("mutation", "notes:addAndFail", data=None)
            else:
                caller.value("mutation", "notes:add", text=f"{thread} {number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert len(caller.notes()) == THREADS // 2 * ROUNDS


def test_console_lines_are_not_mixed(caller: Caller) -> None:
    def lines(thread: int) -> list[int]:
        path = "deep/probe:chat" if thread % 2 else "notes:list"
        return [len(caller.outcome("query", path).get("logLines", [])) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(THREADS) as pool:
        for thread, counts in enumerate(pool.map(lines, range(THREADS))):
            assert counts == [thread % 2] * ROUNDS
