"""What is found in a database, in the words of no particular one."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Final

ROWS: Final = frozenset({"table", "partitioned table"})
"""The kinds of tables whose rows can be written."""


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column.

    :ivar type: its type as the database writes it.
    :ivar forms: the source of its declared type, the best one first; the first that is accepted is used.
    :ivar default: the SQL expression of its default.
    :ivar generated: the SQL expression that it always has.
    :ivar identity: whether the database numbers the rows by it: ``always``, ``by default``, or not at all.
    :ivar problem: why it cannot be declared, if the declaration itself would not be refused.
    :ivar domain: the name of its domain, and the conditions of that, which the database keeps.
    """

    name: str
    type: str
    forms: tuple[str, ...]
    nullable: bool
    default: str | None = None
    generated: str | None = None
    identity: str | None = None
    problem: str | None = None
    domain: str | None = None

    @property
    def made(self) -> bool:
        """Whether a row may be inserted without it."""
        return self.nullable or not (self.default is None and self.generated is None and self.identity is None)


@dataclass(frozen=True, slots=True)
class FoundReference:
    """A foreign key.

    :ivar table: the table that it refers to; with its schema if that is not on the search path.
    """

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    name: str | None = None
    ondelete: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table or a view.

    :ivar kind: such as ``table``, ``partitioned table`` or ``view``.
    :ivar key: the columns of its primary key.
    :ivar unique: the columns of its other unique constraints, by their names.
    :ivar policies: the names of its policies; None if row level security is off.
    :ivar triggers: the names of its triggers.
    :ivar fillers: the names of those that may fill in a new row.
    :ivar schema: its schema, if that is not on the search path.
    """

    name: str
    kind: str
    columns: tuple[FoundColumn, ...]
    key: tuple[str, ...] = ()
    references: tuple[FoundReference, ...] = ()
    unique: dict[str, tuple[str, ...]] = field(default_factory=dict)
    policies: tuple[str, ...] | None = None
    triggers: tuple[str, ...] = ()
    fillers: tuple[str, ...] = ()
    schema: str | None = None

    @property
    def place(self) -> str:
        """Its name, with its schema if that is not on the search path."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    """The tables of a database, sorted by name.

    :ivar hidden: the number of tables in each schema that is not on the search path.
    """

    tables: tuple[FoundTable, ...]
    hidden: dict[str, int] = field(default_factory=dict)
