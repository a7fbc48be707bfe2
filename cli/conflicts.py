"""``flask sync conflicts``: the conflicts of the two databases, and decisions about those that wait for one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from typing import Final

import click
import orjson
from flask.cli import AppGroup
from flask.cli import with_appcontext

from cli.pairs import first_pair
from database import DataError
from database.sync.conflicts.listing import ListedConflict
from database.sync.conflicts.listing import one_conflict

_WIDEST: Final = 60
"""Characters of a value in the table of columns."""


@click.group("conflicts", cls=AppGroup, invoke_without_command=True)
@click.option("--table", help="Only conflicts of this table.")
@click.option("--open", "only_open", is_flag=True, help="Only those that wait for a decision.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The most conflicts to list.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with all rows.")
@click.pass_context
@with_appcontext
def conflict_commands(context: click.Context, table: str | None, only_open: bool, limit: int, as_json: bool) -> None:
    """List conflicts: first those that wait for a decision, then the newest of the resolved ones."""
    if context.invoked_subcommand is not None:
        return
    try:
        found = first_pair().get_conflicts(table, state="open" if only_open else None, limit=limit)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    for one in found:
        what = one.reason if one.state == "open" else f"resolved by {one.rule}"
        click.echo(_json(one) if as_json else f"{one.id}  {one.at:%Y-%m-%d %H:%M:%S}  {one.table} {one.record}: {what}")


@conflict_commands.command("show")
@click.argument("conflict_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(conflict_id: str, as_json: bool) -> None:
    """Show a conflict: the agreed row, both rows and the result, column by column."""
    try:
        one = one_conflict(first_pair().pair, conflict_id)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(_json(one))
        return
    click.echo(f"{one.table} {one.record}, {one.at:%Y-%m-%d %H:%M:%S}")
    click.echo(f"open: {one.reason}" if one.state == "open" else f"resolved by {one.rule}")
    for line in _table(one):
        click.echo(line)


@conflict_commands.command("resolve")
@click.argument("conflict_id", metavar="ID")
@click.option(
    "--take",
    required=True,
    help="first or second: the row of that side, or its deletion. Or the row as a JSON object, which may leave out"
    " columns in which both sides are equal; null deletes the record.",
)
def resolve(conflict_id: str, take: str) -> None:
    """Resolve a conflict that waits for a decision, now."""
    try:
        first_pair().resolve_conflict(conflict_id, _decision(take))
    except DataError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{conflict_id}: resolved; both sides have the row, and the journal has both versions")


def _decision(take: str) -> Any:
    if take in {"first", "second"}:
        return take
    try:
        made = json.loads(take)
    except json.JSONDecodeError:
        made = take
    if made is not None and not isinstance(made, dict):
        raise click.BadParameter("must be first, second, a JSON object, or null", param_hint="--take")
    return made


def _json(one: ListedConflict) -> str:
    return orjson.dumps(asdict(one)).decode()


def _table(one: ListedConflict) -> Iterator[str]:
    """The columns in which the rows differ, and the names of the others."""
    versions: dict[str, Mapping[str, Any] | None] = {
        "agreed": one.base,
        f"first ({one.first_name})": one.first,
        f"second ({one.second_name})": one.second,
    }
    if one.state == "resolved":
        versions["result"] = one.result
    names = list(dict.fromkeys(name for row in versions.values() for name in row or ()))
    differing = [name for name in names if len({_value(row, name) for row in versions.values()}) > 1]
    cells = [["column", *versions], *([name, *(_value(row, name) for row in versions.values())] for name in differing)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    if same := [name for name in names if name not in differing]:
        yield f"equal: {', '.join(same)}"


def _value(row: Mapping[str, Any] | None, name: str) -> str:
    if row is None:
        return "(no row)"
    text = json.dumps(row.get(name), ensure_ascii=False)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
