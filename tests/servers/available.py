"""Servers that a machine may not have: a test that needs one is skipped there."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec
from typing import TypeVar

import pytest

from tests.servers.processes.process import ServerUnavailable

Made = TypeVar("Made")
Parameters = ParamSpec("Parameters")


def available(make: Callable[Parameters, Made], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Made:
    """What ``make`` makes; the test is skipped where the server that it needs is not installed."""
    try:
        return make(*args, **kwargs)
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
