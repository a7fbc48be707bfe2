"""What the stages share: their shape.

A stage is a function that takes the next handler and returns a handler. It is built once per backend and is
the only thing a call passes through, so that a call costs a few function calls and no objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from database.core.context import Context
from database.core.operations import Operation
from database.core.result import Result

Answer = TypeVar("Answer")

Step = Callable[[Operation, Context], Answer]
"""One call to a backend, whatever it answers: a result, or the session it opens."""

Handler = Step[Result]
"""One call of a backend, and the shape of every stage around it."""
