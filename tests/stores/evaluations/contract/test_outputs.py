"""Outputs come back byte for byte, wherever they are kept."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from stores.evaluations.core import Evaluations
from stores.evaluations.meaning.values import OutputKind

MIB = 1 << 20
BYTES = random.Random(7).randbytes(5 * MIB // 2)
TEXTS = ["", "Hello", "é" * 10_000, "\n".join(map(str, range(20_000))), "a\0b", "\x01" * 1_000]


def whole(evaluations: Evaluations, kind: OutputKind = "output") -> bytes:
    output = evaluations.output("a", kind)
    body = b"".join(output.chunks)
    assert len(body) == output.size
    return body


def test_texts_come_back(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    for text in TEXTS:
        updated = evaluations.update("a", output=text)
        assert updated.output_size == len(text.encode())
        assert whole(evaluations).decode() == text
        if not updated.output_truncated:
            assert updated.output == text


def test_a_large_one_is_whole_elsewhere_with_its_beginning_inline(evaluations: Evaluations) -> None:
    text = "é" * MIB
    evaluations.create("a", "1")
    evaluations.update("a", status="completed", output=text, error=BYTES)
    found = evaluations.get("a")
    assert found is not None
    assert (found.output, found.output_size, found.output_truncated) == ("é" * 512, 2 * MIB, True)
    assert (found.error_size, found.error_truncated, found.error_type) == (
        len(BYTES), True, "application/octet-stream",
    )  # fmt: skip
    assert (whole(evaluations).decode(), whole(evaluations, "error")) == (text, BYTES)


def test_the_limit_counts_bytes(evaluations: Evaluations) -> None:
    most = evaluations.records.inline
    evaluations.create("a", "1")
    assert not evaluations.update("a", output="é" * (most // 2)).output_truncated
    assert evaluations.update("a", output="é" * (most // 2) + "x").output_truncated
    assert whole(evaluations).decode() == "é" * (most // 2) + "x"


def test_code_may_be_as_large(evaluations: Evaluations) -> None:
    code = "# é\n" * (MIB // 4) + "\0"
    made = evaluations.create("a", code)
    assert made.code_size == len(code.encode())
    # One that is refused leaves nothing behind.
    with pytest.raises(Conflict):
        evaluations.create("a", code)
    assert b"".join(evaluations.code("a").chunks).decode() == code
    assert evaluations.blobs is not None
    assert evaluations.blobs.count("outputs/") == 1


def test_an_output_arrives_in_chunks_and_replaces_the_former_one(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    for number in (1, 2):
        evaluations.put_output("a", "output", (bytes([number]) * 1_000 for _ in range(2_000)), media_type="a/b")
        assert whole(evaluations) == bytes([number]) * 2_000_000
    assert evaluations.output("a").media_type == "a/b"
    assert evaluations.blobs is not None
    locations = {key.rpartition("/")[0] for key in evaluations.blobs.keys("outputs/")}
    assert len(locations) == 1


def test_chunks_that_end_with_an_exception_change_nothing(evaluations: Evaluations) -> None:
    def chunks() -> Iterator[bytes]:
        yield BYTES
        yield BYTES
        raise OSError("the connection was closed")

    before = evaluations.create("a", "1")
    with pytest.raises(OSError, match="the connection"):
        evaluations.put_output("a", "output", chunks())
    assert evaluations.get("a") == before
    assert evaluations.blobs is not None
    assert list(evaluations.blobs.keys("outputs/")) == []


def test_there_may_be_none_and_no_other_kind(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    with pytest.raises(NotFound, match="the evaluation 'a' has no output"):
        evaluations.output("a")
    with pytest.raises(InvalidQuery, match="kind must be output or error, not 'code'"):
        evaluations.output("a", "code")  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery, match="output must be text or bytes, not int"):
        evaluations.update("a", output=7)  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery, match="code must be text, not bytes"):
        evaluations.create("b", b"1")  # type: ignore[arg-type]


def test_the_sweep_deletes_what_a_crash_has_left(evaluations: Evaluations) -> None:
    evaluations.create("a", "1")
    evaluations.update("a", output=BYTES)
    evaluations.create("\0é", "1")
    evaluations.update("\0é", output=BYTES, error=BYTES)
    kept = evaluations.create("b", "1")
    blobs = evaluations.blobs
    assert blobs is not None
    # What was stored before the evaluation that would have named it.
    blobs.put("outputs/a/output-lost/000000", b"x", metadata={"evaluation": "a", "parts": True})
    blobs.put("outputs/gone/output-lost", b"x", metadata={"evaluation": "gone"})
    assert evaluations.sweep() == 0
    assert evaluations.sweep(timedelta(seconds=-60)) == 2
    assert (whole(evaluations), evaluations.get("b")) == (BYTES, kept)
    assert b"".join(evaluations.output("\0é", "error").chunks) == BYTES
