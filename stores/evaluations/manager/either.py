"""Methods that are awaited in asynchronous code, and simply called in all other code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from functools import wraps
from typing import Any
from typing import ParamSpec

Parameters = ParamSpec("Parameters")


def awaitable(method: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
    """The method; where an event loop runs, it returns a future, and the work is done in a thread.

    The work has begun when the future is returned, and is done also if nobody awaits it.
    """

    @wraps(method)
    def either(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return method(*args, **kwargs)
        return loop.run_in_executor(None, partial(copy_context().run, method, *args, **kwargs))

    return either
