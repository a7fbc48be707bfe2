"""``flask db adopt``: declarations for the tables that a database had before."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from database import ConnectionManager
from database import DatabaseAdapter
from database import DataError
from database import current_database
from database.schema import adoption
from database.schema.sqlalchemy_engine import has_engine

MODULE = "adopted"
"""The module in the application's package that declares the adopted tables."""

_RULE = "Access rule for the adopted tables, such as anyone, user, owner or role:staff; repeat it for alternatives."


def _keys(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Parse ``TABLE=COLUMN,COLUMN``. :raises click.BadParameter: for any other text."""
    parts = [text.partition("=") for text in texts]
    if bad := next(
        (text for text, (name, _, columns) in zip(texts, parts, strict=True) if not (name and columns)), None
    ):
        raise click.BadParameter(f"{bad!r} is not of the form TABLE=COLUMN or TABLE=COLUMN,COLUMN")
    return {name: columns.split(",") for name, _, columns in parts}


@click.command("adopt")
@click.argument("tables", nargs=-1)
@click.option("--database", help="A name of DB_ADAPTER_ORDER; by default the first database that has SQL tables.")
@click.option("--read", multiple=True, help=_RULE)
@click.option("--write", multiple=True, help="The same for inserts and updates.")
@click.option("--delete", multiple=True, help="The same for deletions.")
@click.option("--owner", help="The column with the owner's id, for the rule owner.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    callback=_keys,
    help="TABLE=COLUMN[,COLUMN]: what identifies a row of a view, or of a table without a primary key.",
)
@click.option(
    "--schema", "schemas", multiple=True, help="A schema of PostgreSQL that is not on the search path; repeat it."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that differs, with the edits in it.")
@click.option("--dry-run", is_flag=True, help="Print the declarations, and write no file.")
@with_appcontext
def adopt(
    tables: tuple[str, ...],
    database: str | None,
    owner: str | None,
    keys: dict[str, list[str]],
    schemas: tuple[str, ...],
    overwrite: bool,
    dry_run: bool,
    **rules: tuple[str, ...],
) -> None:
    """Read the TABLES that a database has, by default all, and write declarations of them to config/adopted.py.

    Nothing is changed in the database. The report says of each table whether it is usable, and why not. A table is
    closed to callers unless --read, --write or --delete, or an edit of the file, says otherwise. If the file exists,
    the differences are printed, and nothing is written.
    """
    manager = current_database()
    adapter = _chosen(manager, database)
    path = _path(manager)
    access = adoption.writing.GivenAccess({action: _rule(given) for action, given in rules.items() if given}, owner)
    try:
        found = adoption.adopting.find(adapter, schemas)
        judged = adoption.adopting.judged(found, manager.schema.metadata, keys, tables)
        source = adoption.writing.module(judged, access, _present(manager, path))
    except (DataError, ValueError) as error:
        raise click.ClickException(f"{adapter.name}: {error}") from error
    if dry_run:
        click.echo(source)
        return
    for line in adoption.report.report(judged, found.hidden):
        click.echo(line)
    if not any(one.declared for one in judged):
        click.echo("No table can be declared; nothing was written.")
        return
    _write(path, source, overwrite=overwrite)
    if not set(manager.schema.metadata.tables).issuperset(one.table.place for one in judged if one.declared):
        package = manager.settings.application_package
        click.echo(f"To serve the tables, import them in {package}/tables.py: from {package}.{MODULE} import metadata")


def _chosen(manager: ConnectionManager, name: str | None) -> DatabaseAdapter:
    adapters: Mapping[str, DatabaseAdapter] = manager.adapters
    if name is None:
        adapter = next((adapter for adapter in adapters.values() if has_engine(adapter)), None)
        if adapter is None:
            raise click.ClickException("No database of DB_ADAPTER_ORDER has SQL tables; add one that has.")
        return adapter
    if name not in adapters:
        raise click.BadParameter(f"{name!r} is not in DB_ADAPTER_ORDER, which is {', '.join(adapters)}")
    return adapters[name]


def _path(manager: ConnectionManager) -> Path:
    package = import_module(manager.settings.application_package)
    return Path(next(iter(package.__path__))) / f"{MODULE}.py"


def _present(manager: ConnectionManager, path: Path) -> dict[str, dict[str, Any]]:
    """The ``info`` of the tables that are adopted already. :raises ValueError: if the file cannot be imported."""
    if not path.exists():
        return {}
    name = f"{manager.settings.application_package}.{MODULE}"
    try:
        metadata = import_module(name).metadata
    except Exception as error:
        raise ValueError(f"{path.name} cannot be imported: {error}; correct it, or delete it") from error
    return {table.name: dict(table.info) for table in metadata.tables.values()}


def _rule(given: tuple[str, ...]) -> str | list[str]:
    return given[0] if len(given) == 1 else list(given)


def _write(path: Path, source: str, *, overwrite: bool) -> None:
    before = path.read_text(encoding="utf-8") if path.exists() else None
    shown = f"{path.parent.name}/{path.name}"
    if before == source:
        click.echo(f"{shown} is as the database is.")
        return
    if before is not None and not overwrite:
        click.echo(adoption.writing.difference(before, source, shown))
        raise click.ClickException(f"{shown} differs and was not written; edit it, or use --overwrite.")
    path.write_text(source, encoding="utf-8")
    click.echo(f"Wrote {shown}; review its access rules.")
