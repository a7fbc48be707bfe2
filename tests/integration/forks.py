"""Running a function in a forked child."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

_PATIENCE = 60


def answer_of_child(work: Callable[[], str], *, patience: int = _PATIENCE) -> str:
    """Fork, run ``work`` in the child and return what it returned, or its traceback; "" after ``patience`` seconds."""
    receiving, sending = os.pipe()
    with warnings.catch_warnings():
        # Later versions of Python warn of forking beside threads, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _run_and_exit(work, sending, patience)
    os.close(sending)
    with os.fdopen(receiving) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def _run_and_exit(work: Callable[[], str], sending: int, patience: int) -> None:
    """Run the child's part; it never returns into the test session, which is the parent's."""
    # A child that waits for a lock whose holder is not here would never end, and with it its parent's test.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(patience)
    try:
        text = work()
    except BaseException:  # noqa: BLE001  # whatever it is, the parent's test shall show it
        text = traceback.format_exc()
    finally:
        with os.fdopen(sending, "w") as answer:
            answer.write(text)
        os._exit(0)
