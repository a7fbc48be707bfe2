"""Copying evaluations from one place into another one: tables of a database, or any store.

An evaluation is compared with that of the target before and after: its columns, the bytes of its code and outputs, and
each of its events and metrics. So a copy may be interrupted at any moment, and repeated: it stores what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from typing import Final

import orjson

from database.core.result import Row
from storage import Copied
from storage import CopyOptions
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageUnsupportedError
from stores.evaluations.core import Evaluations
from stores.evaluations.meaning.checks import MAX_PAGE
from stores.evaluations.outputs import Outputs
from stores.evaluations.places.records import Series

COLUMNS: Final = ("created_at", "code_hash", "status", "started_at", "completed_at", "runtime_ms", "metadata")
"""What is copied as it is, beside ``updated_at``. The others say where a place keeps a text."""

FIELDS: Final = ("code", "output", "error")
_SERIES: Final[tuple[Series, Series]] = ("events", "metrics")

Told = Callable[[Copied], object]
Chunks = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class WholeEvaluation:
    """An evaluation with all that belongs to it.

    :ivar columns: those of :data:`COLUMNS`, and ``updated_at``.
    :ivar bodies: the texts that there are, by their fields: each with its media type, which a code has not.
    :ivar series: its events and metrics, in their order, as rows.
    """

    id: str
    columns: Row
    bodies: Mapping[str, tuple[Chunks, str | None]]
    series: Mapping[Series, Callable[[], Iterable[Row]]]

    def hash(self) -> bytes:
        """The hash of its columns and bodies."""
        made = sha256(_plain({name: self.columns[name] for name in COLUMNS}))
        for field, (chunks, media_type) in sorted(self.bodies.items()):
            body = sha256()
            for chunk in chunks():
                body.update(chunk)
            made.update(_plain([field, media_type, body.hexdigest()]))
        return made.digest()

    def size(self) -> int:
        """The bytes of its bodies."""
        return sum(len(chunk) for chunks, _ in self.bodies.values() for chunk in chunks())


def copy_evaluations(
    source: Iterable[WholeEvaluation],
    target: Evaluations,
    options: CopyOptions | None = None,
    *,
    told: Told = lambda _: None,
) -> Copied:
    """Copy evaluations with their events, metrics and outputs; returns what was done and what was left.

    An evaluation of the target is only replaced by one that was changed later, unless ``replace`` is set. Events and
    metrics are added, and never replaced.

    :param options: those of stores; there is no ``prefix``, and ``since`` is compared with the last change.
    :param told: called after each of them.
    :raises StorageError: if a place cannot be reached. The same call goes on where this one has ended.
    """
    chosen = options or CopyOptions()
    if chosen.prefix:
        raise StorageUnsupportedError("prefixes", detail="evaluations have no keys; leave the prefix out")
    copied = Copied(others=target.count())
    writer = _Writer(target, chosen, copied)
    for whole in source:
        if chosen.since is None or whole.columns["updated_at"] >= chosen.since:
            writer.write(whole)
            told(copied)
    return copied


def whole_evaluations(place: Evaluations) -> Iterator[WholeEvaluation]:
    """All evaluations of a place, the newest first."""
    for evaluation in place.every():
        # None if it has just been deleted.
        if (whole := _whole(place, evaluation.id)) is not None:
            yield whole


class _Writer:
    """Writes evaluations into a place."""

    def __init__(self, target: Evaluations, options: CopyOptions, copied: Copied) -> None:
        self._target = target
        self._outputs = Outputs(target.blobs, target.records.inline)
        self._options = options
        self._copied = copied

    def write(self, whole: WholeEvaluation) -> None:
        """Copy one, and count it. What is wrong with it stops no other one."""
        self._copied.seen += 1
        there = _whole(self._target, whole.id)
        if there is not None:
            self._copied.others -= 1
        try:
            self._compare(whole, there)
        except (
            *(StorageCapacityError, StorageConflictError, StorageCorruptError),
            *(StorageKeyError, StorageSerializationError),
        ) as error:
            self._copied.left[whole.id] = f"could not be copied: {error}"

    def _compare(self, whole: WholeEvaluation, there: WholeEvaluation | None) -> None:
        is_same = there is not None and there.hash() == whole.hash()
        if is_same and not any(self._missing(whole, series) for series in _SERIES):
            self._copied.same += 1
        elif not (there is None or is_same or self._may_replace(whole, there)):
            self._copied.left[whole.id] = (
                "differs from the evaluation in the target, which was changed later; --replace overwrites it"
            )
        elif self._options.dry_run:
            self._copied.count_moved(whole.size())
        else:
            self._store(whole, is_new=there is None, is_same=is_same)
            self._check(whole)

    def _may_replace(self, whole: WholeEvaluation, there: WholeEvaluation) -> bool:
        earlier: datetime = there.columns["updated_at"]
        return self._options.replace or earlier < whole.columns["updated_at"]

    def _store(self, whole: WholeEvaluation, *, is_new: bool, is_same: bool) -> None:
        if not is_same:
            kept = [
                self._outputs.kept(whole.id, field, chunks(), media_type)
                for field, (chunks, media_type) in whole.bodies.items()
            ]
            columns = dict(whole.columns) | {name: value for one in kept for name, value in one.columns.items()}
            write = self._insert if is_new else self._change
            self._outputs.written(kept, lambda: write(whole, columns))
        for series in _SERIES:
            for row in self._missing(whole, series):
                self._target.records.append(series, {**row, "evaluation_id": whole.id})

    def _insert(self, whole: WholeEvaluation, columns: Row) -> Row:
        """Store a new evaluation with its first event; each has one."""
        event = next(iter(whole.series["events"]()))
        return self._target.records.insert({"id": whole.id, **columns}, {**event, "evaluation_id": whole.id})

    def _change(self, whole: WholeEvaluation, columns: Row) -> Row:
        present = self._target.records.get(whole.id)
        if present is None:
            raise StorageConflictError("somebody has deleted it in the target meanwhile")
        changes = {name: value for name, value in columns.items() if name not in {"updated_at", "created_at"}}
        changed = self._target.records.change(present, changes, None)
        self._outputs.forget(present, whole.bodies)
        return changed

    def _missing(self, whole: WholeEvaluation, series: Series) -> list[Row]:
        """The events or metrics that the target has not."""
        there = {row["id"] for row in _appended(self._target, series, whole.id)}
        return [row for row in whole.series[series]() if row["id"] not in there]

    def _check(self, whole: WholeEvaluation) -> None:
        """Read back what was stored, and count it."""
        there = _whole(self._target, whole.id)
        if there is None or there.hash() != whole.hash() or not self._has_all(whole, there):
            self._copied.left[whole.id] = "was copied, and is another one in the target now; repeat the command"
        else:
            self._copied.count_moved(whole.size())

    def _has_all(self, whole: WholeEvaluation, there: WholeEvaluation) -> bool:
        """Whether the target has each event and metric as it is."""
        return all(
            _hashes(whole.series[series]()).items() <= _hashes(there.series[series]()).items() for series in _SERIES
        )


def _whole(place: Evaluations, id: str) -> WholeEvaluation | None:
    row = place.records.get(id)
    if row is None:
        return None
    outputs = Outputs(place.blobs, place.records.inline)

    def body(field: str) -> tuple[Chunks, str | None]:
        return lambda: outputs.chunks(row, field), row.get(f"{field}_type")

    return WholeEvaluation(
        id,
        {name: row[name] for name in (*COLUMNS, "updated_at")},
        {field: body(field) for field in FIELDS if row[f"{field}_size"] is not None},
        {
            "events": lambda: _appended(place, "events", id),
            "metrics": lambda: _appended(place, "metrics", id),
        },
    )


def _appended(place: Evaluations, series: Series, id: str) -> Iterator[Row]:
    after = None
    while rows := place.records.appended(series, id, after, MAX_PAGE):
        yield from rows
        after = rows[-1]["id"]


def _hashes(rows: Iterable[Row]) -> dict[str, bytes]:
    return {row["id"]: sha256(_plain({**row, "evaluation_id": ""})).digest() for row in rows}


def _plain(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
