"""What callers get of an evaluation: plain values, which are not shared with any store."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from typing import Literal

from database.core.immutable import immutable
from stores.evaluations.meaning.statuses import ENDED

OutputKind = Literal["output", "error"]


@immutable
class Evaluation:
    """An evaluation.

    :ivar code: what was submitted; None in a page. Its beginning, if it is larger than ``code_size`` says.
    :ivar code_hash: its SHA-256, in hexadecimal.
    :ivar code_size: in bytes of UTF-8.
    :ivar runtime_ms: milliseconds from ``started_at`` to ``completed_at``; None if it has not run, or not ended.
    :ivar output: the output as text; None if there is none, and in a page.
    :ivar output_size: in bytes; None if there is none.
    :ivar output_truncated: whether ``output`` is only a beginning of 1 KiB, and the whole is elsewhere.
    :ivar output_s3_key: where that is, in the store for blobs.
    :ivar error: the four of the error output are the same.
    :ivar metadata: the caller's own.
    :ivar etag: names this version, for conditional updates.
    """

    id: str
    code: str | None
    code_hash: str
    code_size: int
    code_s3_key: str | None
    status: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    runtime_ms: int | None
    output: str | None
    output_size: int | None
    output_type: str | None
    output_truncated: bool
    output_s3_key: str | None
    error: str | None
    error_size: int | None
    error_type: str | None
    error_truncated: bool
    error_s3_key: str | None
    metadata: Mapping[str, Any]
    etag: str

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED

    def known(self) -> dict[str, Any]:
        """All of it, as it is shown to clients."""
        return asdict(self)


@immutable
class EvaluationPage:
    """A part of a listing, the newest evaluation first, without codes and outputs.

    :ivar next_cursor: for the next page; None after the last one.
    """

    evaluations: Sequence[Evaluation]
    next_cursor: str | None = None


@immutable
class EvaluationEvent:
    """Something that happened to an evaluation. Ids of later events of one writer sort behind those of earlier ones."""

    id: str
    evaluation_id: str
    event_type: str
    timestamp: datetime
    message: str
    metadata: Mapping[str, Any]


@immutable
class EvaluationMetric:
    """A number that was measured, such as the memory that an evaluation uses."""

    id: str
    evaluation_id: str
    metric_name: str
    metric_value: float
    unit: str | None
    timestamp: datetime


@immutable
class EvaluationOutput:
    """The whole output, or error output, of an evaluation.

    :ivar size: in bytes.
    :ivar chunks: the bytes, to be read once.
    """

    size: int
    media_type: str
    etag: str
    chunks: Iterator[bytes]


@immutable
class EvaluationFilters:
    """Which evaluations are meant; all conditions must hold.

    :ivar statuses: one of these; None for any.
    :ivar text: is in the id, the code, the output or the error, without regard to the case of A to Z.
    :ivar since: created then or later.
    :ivar until: created before.
    :ivar metadata: which the evaluation's must contain, as ``contains`` of JSON columns means it.
    """

    statuses: Collection[str] | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    metadata: Mapping[str, Any] | None = None


EVERY = EvaluationFilters()
