"""Server processes that have no privileges, end with the tests, and can be killed as a power cut would."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GRACE = 30.0  # seconds a process may take to go; only a broken one needs them


class ServerFailed(RuntimeError):
    """A server or one of its tools did not do what it was started for; the message has its output."""


class ServerUnavailable(RuntimeError):
    """A server is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that servers run as; None is the user of the tests."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def unprivileged(cls) -> Account:
        """``nobody`` when the tests run as root, whom PostgreSQL refuses to serve; otherwise the same user."""
        if os.geteuid() != 0:
            return cls()
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    def own(self, path: Path) -> None:
        """Give ``path`` to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str]) -> str:
        """Run a tool to its end and return its output.

        :raises ServerFailed: it could not be started, or failed.
        """
        try:
            done = self._start(command, subprocess.PIPE)
        except OSError as error:
            raise ServerFailed(f"{command[0]}: {error}") from error
        with done:
            output = done.communicate()[0].decode(errors="replace")
        if done.returncode:
            raise ServerFailed(f"{command[0]} ended with {done.returncode}: {output}")
        return output

    def spawn(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a server that appends its output to ``log`` and is interrupted when the calling thread ends."""
        with log.open("ab") as output:
            return self._start([*_end_with_parent(), *command], output.fileno())

    def _start(self, command: Sequence[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",  # the account may not be allowed to enter the current folder
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )


def stop(process: subprocess.Popen[Any], how: signal.Signals) -> None:
    """Send a signal and wait until the process is gone.

    :raises ServerFailed: it is still there after half a minute; it is killed then.
    """
    process.send_signal(how)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired as error:
        kill(process)
        raise ServerFailed(f"process {process.pid} did not end on {how.name}") from error


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all its descendants at once, with SIGKILL, and wait until none is left.

    Each is halted first, so that it can neither react to its children's death nor start new ones.
    """
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    with ExitStack() as handles:
        children = list(_halted_descendants(process.pid, handles))
        for child in children:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        process.kill()
        process.wait(_GRACE)
        for child in children:
            _wait_gone(child)


def _end_with_parent() -> list[str]:
    """The prefix that has the kernel interrupt a command when its parent dies, however it dies.

    A tool does it because Python code between fork and exec (``preexec_fn``) may deadlock when there are threads. The
    shell makes sure that the parent has not died before the tool was ready.
    """
    setpriv = shutil.which("setpriv")
    unless_orphaned = f'[ "$PPID" = {os.getpid()} ] && exec "$@"'
    return [setpriv, "--pdeathsig", "INT", "--", "sh", "-c", unless_orphaned, "sh"] if setpriv else []


def _halted_descendants(pid: int, handles: ExitStack) -> Iterator[int]:
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        handle = _open_process(child, handles)
        signal.pidfd_send_signal(handle, signal.SIGSTOP)
        yield handle
        yield from _halted_descendants(child, handles)


def _open_process(pid: int, handles: ExitStack) -> int:
    handle = os.pidfd_open(pid)
    handles.callback(os.close, handle)
    return handle


def _wait_gone(handle: int) -> None:
    gone = select.poll()
    gone.register(handle, select.POLLIN)
    if not gone.poll(_GRACE * 1000):
        raise ServerFailed("a killed process is still there")
