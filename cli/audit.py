"""``flask sync audit``: compares all records of the two databases."""

from __future__ import annotations

from collections.abc import Iterable

import click
import orjson
from flask.cli import with_appcontext

from cli.pairs import count
from cli.pairs import first_pair
from cli.progress import ProgressLine
from database import DataError
from database.sync.audit.findings import KINDS
from database.sync.audit.findings import Findings
from database.sync.side import Pair

PATIENCE = 10.0
"""Seconds that the command waits for changes that sync has not carried over yet."""


@click.command("audit")
@click.option("--table", "tables", multiple=True, help="Compare this table only; may be repeated.")
@click.option("--repair", is_flag=True, help="Reconcile the records that differ, as a cycle of sync does.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records; the next run goes on there.")
@click.option("--restart", is_flag=True, help="Begin with the first record, even if the last run was interrupted.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=PATIENCE,
    show_default=True,
    help="Seconds to wait for changes that sync has not carried over yet.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
@with_appcontext
def audit(
    tables: tuple[str, ...],
    repair: bool,
    limit: int | None,
    restart: bool,
    patience: float,
    as_json: bool,
) -> None:
    """Compare all records of the two databases; fail if they differ.

    An interrupted audit goes on where it ended.
    """
    manager = first_pair()
    try:
        auditor = manager.auditor(tables or None, repair=repair, patience=patience)
        resumed = not restart and auditor.resume()
        line = ProgressLine("compared", _total(manager.pair, tables or manager.tables))

        def stopped() -> bool:
            line.show(auditor.status()["compared"])
            return False

        findings = auditor.run(stopped, limit)
        line.end()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--table") from error
    except DataError as error:
        raise click.ClickException(f"{error}; run the audit again, it goes on where it ended") from error
    if as_json:
        click.echo(orjson.dumps({"pair": manager.pair.name, "resumed": resumed, **findings.as_json()}))
    else:
        show(manager.pair, findings)
    if findings.differences or findings.total("in_flight"):
        raise click.exceptions.Exit(1)


def show(pair: Pair, findings: Findings) -> None:
    """Print the findings of an audit."""
    for table, counts in findings.tables.items():
        click.echo(f"{table}: {', '.join(f'{name} {number}' for name, number in counts.items())}")
    for difference in findings.shown:
        details = ", ".join(difference.get("columns", [])) or difference.get("reason", "")
        click.echo(f"  {difference['table']} {difference['id']}: {difference['kind']} {details}".rstrip())
    if (rest := findings.total(*KINDS) - len(findings.shown)) > 0:
        click.echo(f"  and {rest} more")
    first, second = (side.adapter.name for side in pair.sides)
    click.echo(f"first is {first}, second is {second}; {_verdict(findings)}")


def _verdict(findings: Findings) -> str:
    if findings.differences:
        return f"{findings.differences} records differ"
    if waiting := findings.total("in_flight"):
        return f"{waiting} records differ, whose changes wait for the next cycle of sync"
    return "all records are equal" if findings.complete else "equal so far; the next run goes on"


def _total(pair: Pair, tables: Iterable[str]) -> int:
    return sum(count(pair.sides[0].adapter, table) for table in tables if table in pair.tables)
