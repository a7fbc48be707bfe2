"""All revisions, in two branches: Isthmus's and the application's.

Each branch is linear, and a database records the last revision of each. Isthmus's branch is applied first, because the
application's tables may refer to Isthmus's.

Up to revision 0006, Isthmus's own migrations created the tables of the sample application. A migration of the
application that creates such tables now has ``adopts``, the revision of Isthmus that created them before; Isthmus's
migrations list the tables that they no longer create in ``formerly_made``.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.script import Script
from alembic.script import ScriptDirectory

from database.core.errors import RequestError

VERSIONS: Final = Path(__file__).resolve().parent / "versions"
"""The migrations of Isthmus."""

_LAST_WITH_SAMPLE: Final = "0006"


class UnknownRevision(RequestError):
    """The revision does not exist: its name is wrong, or a newer version of the application upgraded the database."""


class ForkedHistory(RequestError):
    """The migrations of a branch do not form a line; the message names the conflicting ones."""


@dataclass(frozen=True, slots=True)
class History:
    """All migrations.

    :ivar own: Isthmus's migrations, oldest first.
    :ivar application: the application's migrations, oldest first.
    """

    own: tuple[Script, ...]
    application: tuple[Script, ...]

    @property
    def scripts(self) -> tuple[Script, ...]:
        """All migrations in the order in which they are applied."""
        return (*self.own, *self.application)

    @property
    def revisions(self) -> list[str]:
        """The revisions of all migrations in the order in which they are applied."""
        return [script.revision for script in self.scripts]

    @property
    def heads(self) -> list[str]:
        """The newest revision of each branch that is not empty."""
        return [branch[-1].revision for branch in self._branches() if branch]

    def known(self, revision: str) -> str:
        """The revision, or ``head``, unchanged. :raises UnknownRevision: if it does not exist."""
        if revision != "head" and revision not in self.revisions:
            raise UnknownRevision(f"revision {revision!r} does not exist; revisions are {', '.join(self.revisions)}")
        return revision

    def applied(self, recorded: Iterable[str]) -> list[str]:
        """All revisions of a database that records the given ones, oldest first.

        :raises UnknownRevision: if a recorded revision does not exist in this version of the application.
        """
        recorded = list(recorded)
        if unknown := [revision for revision in recorded if revision not in self.revisions]:
            raise UnknownRevision(
                f"the database has revision {unknown[0]!r}, which does not exist in this version of the application:"
                " run the version that has it, or, if its migration was deleted for good, `flask db stamp` with the"
                " last existing revision"
            )
        return [name for revision in recorded for name in self._until(revision)]

    def missing(self, recorded: Iterable[str]) -> list[str]:
        """The revisions that the same database lacks, oldest first. :raises UnknownRevision: as :meth:`applied`."""
        applied = self.applied(recorded)
        return [revision for revision in self.revisions if revision not in applied]

    def up_to(self, revisions: Iterable[str], last: str) -> list[str]:
        """The given revisions up to and including ``last``."""
        end = len(self.revisions) if last == "head" else self.revisions.index(last) + 1
        return [revision for revision in revisions if revision in self.revisions[:end]]

    def above(self, applied: Sequence[str], revision: str) -> list[str]:
        """The applied revisions after ``revision`` in its branch, newest first.

        :param revision: a revision; ``base`` for all applied ones, or ``-1`` for the last one only.
        :raises UnknownRevision: if the revision does not exist or is not applied.
        """
        if revision == "-1":
            return list(applied[-1:])
        if revision == "base":
            return list(applied[::-1])
        if self.known(revision) not in applied:
            has = ", ".join(self.recorded(applied)) or "none"
            raise UnknownRevision(f"the database does not have revision {revision!r}; it has {has}")
        later = [name for name in applied if revision in self._until(name)[:-1]]
        return later[::-1]

    def steps(self, revisions: Sequence[str], *, up: bool) -> list[str]:
        """The target revisions to pass to Alembic in order, one per branch, to apply or undo ``revisions``."""
        goals = []
        for names in ([script.revision for script in branch] for branch in self._branches()):
            if chosen := [name for name in revisions if name in names]:
                before = names.index(chosen[-1]) - 1
                goals.append(chosen[-1] if up else names[before] if before >= 0 else f"{names[0]}@base")
        return goals if up else goals[::-1]

    def recorded(self, applied: Iterable[str]) -> list[str]:
        """The revisions that a database with the given ones records: the last one of each branch."""
        has = set(applied)
        lines = [[script.revision for script in branch if script.revision in has] for branch in self._branches()]
        return [line[-1] for line in lines if line]

    def stamped(self, recorded: Iterable[str], revision: str) -> list[str]:
        """The revisions to record when stamping ``revision`` or ``head``; the other branch's record is kept."""
        if self.known(revision) == "head":
            return self.heads
        branch = self._branch(revision)
        others = [name for name in recorded if name in self.revisions and name not in branch]
        return sorted([*others, revision], key=self.revisions.index)

    def adoptable(self, recorded: Sequence[str]) -> list[Script]:
        """The application's migrations whose tables Isthmus's own have created in a database that records these."""
        if len(recorded) != 1 or (own := recorded[0]) not in self._names_with_sample():
            return []
        return [script for script in self.application if getattr(script.module, "adopts", "~") <= own]

    def own_with_sample(self) -> list[Script]:
        """Isthmus's migrations that were released together with the sample's tables, oldest first."""
        return [script for script in self.own if script.revision <= _LAST_WITH_SAMPLE]

    def released(self, recorded: Iterable[str]) -> set[str]:
        """The tables that Isthmus's migrations no longer create, but have created in a database that records these."""
        last = max((name for name in recorded if name in self._names_with_sample()), default="")
        return set(_formerly_made(script for script in self.own if script.revision <= last))

    def all_released(self) -> set[str]:
        """All tables that Isthmus's migrations once created and no longer create."""
        return set(_formerly_made(self.own))

    def _names_with_sample(self) -> list[str]:
        return [script.revision for script in self.own_with_sample()]

    def _branches(self) -> tuple[tuple[Script, ...], ...]:
        return self.own, self.application

    def _branch(self, revision: str) -> list[str]:
        names = [[script.revision for script in branch] for branch in self._branches()]
        return next(branch for branch in names if revision in branch)

    def _until(self, revision: str) -> list[str]:
        """The revisions of the branch up to and including this one."""
        branch = self._branch(revision)
        return branch[: branch.index(revision) + 1]


@cache
def history(migrations: Path | None) -> History:
    """Load all migrations.

    :param migrations: the folder of the application's migrations; None if it has none.
    :raises ForkedHistory: if a branch is not linear.
    """
    # Not through Alembic's sorted map, which only logs a warning for a broken history.
    scripts = sorted(ScriptDirectory.from_config(config(migrations))._load_revisions(), key=lambda one: one.revision)
    own = [script for script in scripts if Path(script.path).parent == VERSIONS]
    return History(_in_line(own), _in_line([script for script in scripts if script not in own]))


def config(migrations: Path | None) -> Config:
    """Alembic's configuration, with the locations of the migrations."""
    made = Config(cmd_opts=Namespace(quiet=True))
    made.set_main_option("script_location", "database.schema:migrations")
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    made.set_main_option("path_separator", "newline")
    versions = [] if migrations is None else [migrations / "versions"]
    locations = [str(folder) for folder in (VERSIONS, *versions) if folder.is_dir()]
    made.set_main_option("version_locations", "\n".join(locations).replace("%", "%%"))
    return made


def _in_line(scripts: Sequence[Script]) -> tuple[Script, ...]:
    """The migrations of one branch, oldest first."""
    by_former: dict[object, Script] = {}
    names = [script.revision for script in scripts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ForkedHistory(f"two migrations have the revision {twice[0]}; change the revision of one of them")
    for script in scripts:
        former = script.down_revision
        other = by_former.setdefault(former, script)
        if former is not None and former not in names:
            raise ForkedHistory(f"migration {script.revision} has down_revision = {former!r}, which does not exist")
        if other is not script:
            raise ForkedHistory(
                f"migrations {other.revision} and {script.revision} both have down_revision = {former!r};"
                " set the down_revision of one of them to the revision of the other"
            )
    return tuple(_from_the_first(by_former))


def _from_the_first(by_former: dict[object, Script]) -> Iterator[Script]:
    script = by_former.get(None)
    while script is not None:
        yield script
        script = by_former.get(script.revision)


def _formerly_made(scripts: Iterable[Script]) -> Iterator[str]:
    for script in scripts:
        yield from getattr(script.module, "formerly_made", ())
