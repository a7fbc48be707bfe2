"""The capabilities of a store, as data. An operation that needs a missing one is refused before any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """The capabilities of one store. The contract suite checks that each is present, or absent, as declared.

    :ivar durable: an acknowledged write survives the process.
    :ivar shared: several processes may use the same store at once.
    :ivar versions: a conditional write is atomic: of several with one expected version, one succeeds.
    :ivar batches: several writes are all applied or none.
    :ivar joins: writes join the unit of work of a request: they are committed and rolled back with it.
    :ivar expiry: whether the store itself deletes expired entries, or a sweep does.
    :ivar largest: the largest body that one entry takes, in bytes.
    :ivar uploads: a body may be of any size, is written and read in parts, so that it need not fit in memory, and can
        be read by a URL.
    :ivar tenants: an entry is read by the tenant that has stored it only, though all find its key.
    :ivar dimensions: of the vectors by whose similarity entries may be found; None if the store has no vectors.
    """

    durable: bool = True
    shared: bool = True
    versions: bool = True
    batches: bool = False
    joins: bool = False
    expiry: Literal["itself", "swept"] = "swept"
    largest: int = 16 << 20
    uploads: bool = False
    tenants: bool = False
    dimensions: int | None = None
