"""Refresh tokens by themselves: their form, and what is sealed for their owner."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import InvalidRefreshToken
from auth.sessions.refresh_tokens import RefreshToken


def test_a_token_has_256_random_bits_and_is_stored_as_its_hash() -> None:
    tokens = {RefreshToken.new() for _ in range(100)}
    assert len(tokens) == 100
    for token in tokens:
        assert len(base64.urlsafe_b64decode(token.text.removeprefix("isr_") + "=")) == 32
        assert token.id == hashlib.sha256(token.text.encode()).hexdigest()
        assert RefreshToken.parse(token.text) == token
        assert token.text not in repr(token)


@given(st.text() | st.none() | st.integers() | st.binary())
def test_what_is_no_token_is_refused(value: object) -> None:
    with pytest.raises(InvalidRefreshToken):
        RefreshToken.parse(value)


def test_only_the_token_that_sealed_it_reads_its_successor() -> None:
    parent, successor = RefreshToken.new(), RefreshToken.new()
    sealed = parent.seal(successor)
    assert parent.unseal(sealed) == successor
    assert RefreshToken.new().unseal(sealed) is None
    assert successor.text not in sealed
    assert parent.seal(successor) != sealed


def test_the_hash_of_a_token_does_not_read_its_successor() -> None:
    parent = RefreshToken.new()

    class Reader(RefreshToken):
        """Has read the database, and knows the hash that the successor lies beside."""

        @property
        def id(self) -> str:
            return parent.id

    sealed = parent.seal(RefreshToken.new())
    assert Reader(RefreshToken.new().text).unseal(sealed) is None
    assert Reader(parent.text).unseal(sealed) is not None


@given(st.integers(min_value=0, max_value=74 * 8 - 1))
def test_what_was_changed_is_not_read(bit: int) -> None:
    parent = RefreshToken.new()
    data = bytearray(base64.urlsafe_b64decode(parent.seal(RefreshToken.new())))
    data[bit // 8] ^= 1 << bit % 8
    assert parent.unseal(base64.urlsafe_b64encode(data).decode()) is None


@pytest.mark.parametrize("sealed", ["", "x", "xx", "====", "\u00fc" * 40, "A" * 8])
def test_what_was_never_sealed_is_not_read(sealed: str) -> None:
    assert RefreshToken.new().unseal(sealed) is None
