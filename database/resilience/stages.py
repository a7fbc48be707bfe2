"""The types of the stages.

A stage is a function that takes the next handler and returns a handler. Stages are combined once per backend, so that a
call costs only a few function calls and creates no objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from database.core.context import Context
from database.core.operations import Operation
from database.core.result import Result

Answer = TypeVar("Answer")

BackendCall = Callable[[Operation, Context], Answer]
"""A call of a backend that returns any value: a result, or the session that it opens."""

Handler = BackendCall[Result]
"""A call of a backend that returns a result."""
