"""The syncs that run in this process, for the page of its status."""

from __future__ import annotations

from typing import Any

from database.sync.manager import SyncManager

_AUDIT = ("table", "compared", "missing_on_first", "missing_on_second", "different", "unreadable", "in_flight")


def statuses() -> list[dict[str, Any]]:
    """The state of each sync that runs in the background, without keys of records and messages of databases."""
    return [_shown(manager.get_sync_status()) for manager in list(SyncManager.started) if manager.running]


def _shown(status: dict[str, Any]) -> dict[str, Any]:
    names = ("sides", "sync_interval", "last_sync_started", "last_sync_ended", "cursors_age")
    audit = status["audit"]
    return {name: status[name] for name in names} | {
        "failed": status["last_error"] is not None,
        "failures": len(status["failures"]),
        "audit": None if audit is None else _audit(audit),
    }


def _audit(audit: dict[str, Any]) -> dict[str, Any]:
    last = audit["last"]
    ended = None if last is None else {name: last[name] for name in ("began", "ended", "equal", "tables")}
    return {name: audit[name] for name in _AUDIT} | {"last": ended}
