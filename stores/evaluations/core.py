"""Evaluations: what all places and interfaces of them share."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from hashlib import sha256
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.result import Row
from storage.core.making import WallClock
from storage.core.store import Store
from stores.evaluations.appending import Appending
from stores.evaluations.attempts import attempted
from stores.evaluations.changes import changes_of
from stores.evaluations.meaning.checks import MAX_PAGE
from stores.evaluations.meaning.checks import checked_body
from stores.evaluations.meaning.checks import checked_filters
from stores.evaluations.meaning.checks import checked_id
from stores.evaluations.meaning.checks import checked_kind
from stores.evaluations.meaning.checks import checked_limit
from stores.evaluations.meaning.checks import checked_text
from stores.evaluations.meaning.checks import stored_metadata
from stores.evaluations.meaning.cursors import position
from stores.evaluations.meaning.cursors import shown_position
from stores.evaluations.meaning.errors import no_output
from stores.evaluations.meaning.rows import evaluation_of
from stores.evaluations.meaning.rows import new_event
from stores.evaluations.meaning.statistics import statistics_of
from stores.evaluations.meaning.statuses import QUEUED
from stores.evaluations.meaning.statuses import check_status
from stores.evaluations.meaning.values import Evaluation
from stores.evaluations.meaning.values import EvaluationOutput
from stores.evaluations.meaning.values import EvaluationPage
from stores.evaluations.meaning.values import OutputKind
from stores.evaluations.outputs import TEXT_TYPE
from stores.evaluations.outputs import Outputs
from stores.evaluations.places.records import EvaluationRecords

_GRACE: Final = timedelta(days=1)


class Evaluations(Appending):
    """Evaluations of code, their events, metrics and outputs.

    Nothing that is given or returned is shared. Wrong input is a ``StorageError`` that is an ``InvalidQuery`` and names
    the field; an evaluation that is not there a ``StorageNotFoundError``.

    :param records: where they are kept.
    :param blobs: for codes and outputs that are larger than ``records`` takes, or no text; None refuses these.
    :param clock: the time of day.
    """

    def __init__(self, records: EvaluationRecords, blobs: Store | None = None, clock: WallClock = utc_now) -> None:
        super().__init__(records, clock)
        self.blobs = blobs
        self._outputs = Outputs(blobs, records.inline)

    def create(self, id: str, code: str, metadata: Mapping[str, Any] | None = None) -> Evaluation:
        """Store a new evaluation with the status ``queued``, and an event ``submitted``.

        :param id: 1 to 255 characters.
        :param metadata: JSON, also with the types of Python that stores keep.
        :raises StorageConflictError: if there is one with this id.
        """
        body, given, now = checked_body("code", code), stored_metadata(metadata), self._clock()
        code_hash = sha256(body).hexdigest()
        kept = self._outputs.kept(checked_id(id), "code", [body])
        row = {
            "id": id,
            "code_hash": code_hash,
            "status": QUEUED,
            "created_at": now,
            "updated_at": now,
            "metadata": given,
            **kept.columns,
        }
        event = new_event(id, "submitted", "Evaluation submitted", now, {"code_hash": code_hash})
        return evaluation_of(self._outputs.written([kept], lambda: self.records.insert(row, event)))

    def get(self, id: str) -> Evaluation | None:
        """The evaluation, or None."""
        row = self.records.get(checked_id(id))
        return None if row is None else evaluation_of(row)

    def head(self, id: str) -> Evaluation | None:
        """The evaluation without its code and outputs, or None."""
        row = self.records.get(checked_id(id), texts=False)
        return None if row is None else evaluation_of(row)

    def update(
        self,
        id: str,
        *,
        status: str | None = None,
        output: str | bytes | None = None,
        error: str | bytes | None = None,
        metadata: Mapping[str, Any] | None = None,
        expected: str | None = None,
    ) -> Evaluation:
        """Change what is given, all or nothing; a new status makes an event ``status_changed``.

        An evaluation that has ended may still get an output that it has none of, and metadata.

        :param metadata: members to add, or to replace.
        :param expected: the etag that it must have.
        :raises WrongStep: if the status must not follow the present one.
        :raises StorageConflictError: if it has another etag, or has ended and has an output.
        """
        if status is not None:
            check_status(status)
        given: dict[OutputKind, str | bytes | None] = {"output": output, "error": error}
        bodies = {kind: [checked_body(kind, value)] for kind, value in given.items() if value is not None}
        return self._update(id, status, bodies, stored_metadata(metadata), expected)

    def put_output(
        self,
        id: str,
        kind: OutputKind,
        chunks: Iterable[bytes],
        *,
        media_type: str | None = None,
        expected: str | None = None,
    ) -> Evaluation:
        """Store the output, or the error output, of an evaluation; nothing if the chunks end with an exception.

        :param kind: ``output`` or ``error``.
        :param media_type: plain text or bytes by default.
        :param expected: the etag that the evaluation must have.
        :raises StorageConflictError: as :meth:`update`.
        """
        if media_type is not None:
            checked_text("media_type", media_type, 255)
        return self._update(id, None, {checked_kind(kind): chunks}, {}, expected, media_type)

    def output(self, id: str, kind: OutputKind = "output") -> EvaluationOutput:
        """The whole output, or error output, as bytes.

        :raises StorageNotFoundError: if there is none.
        """
        checked_kind(kind)
        row = self._current(id, texts=True)
        if row[f"{kind}_size"] is None:
            raise no_output(id, kind)
        chunks = self._outputs.chunks(row, kind)
        return EvaluationOutput(row[f"{kind}_size"], row[f"{kind}_type"], row["etag"], chunks)

    def code(self, id: str) -> EvaluationOutput:
        """The whole code, as bytes."""
        row = self._current(id, texts=True)
        return EvaluationOutput(row["code_size"], TEXT_TYPE, row["etag"], self._outputs.chunks(row, "code"))

    def delete(self, id: str) -> bool:
        """Delete an evaluation with its events, metrics and outputs; returns whether there was one."""
        row = self.records.remove(checked_id(id))
        if row is not None:
            self._outputs.forget(row)
        return row is not None

    # Many of them

    def page(
        self,
        *,
        status: str | Collection[str] | None = None,
        text: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> EvaluationPage:
        """A page of evaluations, the newest first, without their codes and outputs.

        :param status: one, or several of which one must apply.
        :param text: is in the id, the code, the output or the error; only the beginnings of those in the store for
            blobs are searched.
        :param since: created then or later.
        :param until: created before.
        :param metadata: a part of the evaluation's.
        :param limit: how many at most, from 1 to 1,000.
        :param cursor: that of an earlier page with the same filters.
        """
        filters = checked_filters(status, text, since, until, metadata)
        most = checked_limit(limit)
        found = self.records.find(filters, position(cursor), most + 1)
        more = shown_position(found[most - 1]) if len(found) > most else None
        return EvaluationPage([evaluation_of(row) for row in found[:most]], more)

    def every(self, **filters: Any) -> Iterator[Evaluation]:
        """All evaluations, the newest first, without their codes and outputs; the parameters of :meth:`page`."""
        cursor = None
        while True:
            page = self.page(**filters, limit=MAX_PAGE, cursor=cursor)
            yield from page.evaluations
            cursor = page.next_cursor
            if cursor is None:
                return

    def count(self, **filters: Any) -> int:
        """How many there are; the parameters are those of :meth:`page`."""
        return self.records.count(checked_filters(**filters))

    def statistics(self, **filters: Any) -> dict[str, Any]:
        """Their number, statuses, success rate and runtimes, as ``statistics_of`` describes them.

        The parameters are those of :meth:`page`.
        """
        return statistics_of(self.records.tally(checked_filters(**filters)))

    def sweep(self, grace: timedelta = _GRACE) -> int:
        """Delete the blobs that a crash has left; returns their number.

        :param grace: how old they must be: more than any transaction takes.
        """
        return self._outputs.sweep(self._clock() - grace, self.records.locations)

    # Inside

    def _update(
        self,
        id: str,
        status: str | None,
        bodies: Mapping[OutputKind, Iterable[bytes]],
        metadata: Mapping[str, Any],
        expected: str | None,
        media_type: str | None = None,
    ) -> Evaluation:
        # What will be refused is refused before outputs are stored.
        changes_of(self._current(id, expected=expected), status, bodies, metadata, self._clock())
        kept = [self._outputs.kept(id, kind, chunks, media_type) for kind, chunks in bodies.items()]
        columns = {name: value for one in kept for name, value in one.columns.items()}
        replaced: list[Row] = []

        def attempt() -> Row:
            row = self._current(id, expected=expected)
            changes, event = changes_of(row, status, bodies, metadata, self._clock())
            replaced[:] = [row]
            if not (changes or columns):
                return self._current(id, texts=True, expected=expected)
            return self.records.change(row, {**changes, **columns}, event)

        row = self._outputs.written(kept, lambda: attempted(attempt, expected))
        self._outputs.forget(replaced[0], bodies)
        return evaluation_of(row)
