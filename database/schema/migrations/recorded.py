"""Checks whether a database has all migrations, by one query and without Alembic, which loads as slowly as Flask."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.operations import Sql
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import has_engine
from database.schema.sqlalchemy_engine import is_there

_VERSIONS: Final = Path(__file__).parent / "versions"
"""The migrations of Isthmus."""

# In the table that comparison.py names to Alembic.
_RECORDED: Final = {
    "sqlite": Sql("select version_num from isthmus_version"),
    "postgres": Sql("select version_num from isthmus_private.isthmus_version"),
}


def is_up_to_date(adapter: DatabaseAdapter) -> bool:
    """Whether the database has all migrations; False if unsure, in which case the runner must check.

    :raises BackendError: if the database cannot be queried.
    """
    if not has_engine(adapter):
        return True
    if not is_there(adapter):
        return False
    try:
        with as_application():
            rows = bare(adapter).run_alone(recorded_in(adapter)).rows
    except (InvalidQuery, PermissionDenied):
        return False
    expected = newest(folders(adapter))
    return bool(expected) and {row["version_num"] for row in rows} == expected


def is_closed(adapter: DatabaseAdapter) -> bool:
    """Whether the application's own role may not read Isthmus's tables: another database of the server has brought
    Supabase's roles since the access rules were made.

    :raises BackendError: if the database cannot be queried.
    """
    try:
        with as_application():
            bare(adapter).run_alone(recorded_in(adapter))
    except PermissionDenied:
        return True
    except InvalidQuery:
        pass
    return False


def recorded_in(adapter: DatabaseAdapter) -> Sql:
    """The query for the revisions that a database records, if it has the newest of Isthmus's migrations."""
    return _RECORDED[bare(adapter).sql_dialect]


def folders(adapter: DatabaseAdapter) -> tuple[Path, ...]:
    """The folders of all migrations for the adapter's tables."""
    application = bare(adapter).schema.migrations
    return (_VERSIONS,) if application is None else (_VERSIONS, application / "versions")


@cache
def newest(folders: Sequence[Path]) -> frozenset[str]:
    """The newest revision of each branch; empty if a file's revision cannot be read without executing the file.

    :param folders: folders with one file per migration.
    """
    try:
        steps = [_step(path) for folder in folders for path in folder.glob("[!_.]*.py")]
    except (KeyError, ValueError, SyntaxError):
        return frozenset()
    return frozenset(revision for revision, _ in steps).difference(*(before for _, before in steps))


def _step(path: Path) -> tuple[str, Iterable[str]]:
    """A migration's revision and its ``down_revision``."""
    values = dict(_assigned(ast.parse(path.read_bytes())))
    revision, before = ast.literal_eval(values["revision"]), ast.literal_eval(values["down_revision"])
    return revision, (before,) if isinstance(before, str) else before or ()


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in module.body:
        if isinstance(statement, ast.AnnAssign | ast.Assign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
