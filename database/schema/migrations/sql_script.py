"""One SQL script that sets up a Supabase project, for use without a connection to its database."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Final

from alembic.script import Script
from psycopg import sql

from database import internal_tables
from database.core.tables.schema import Schema
from database.internal_tables import SCHEMA
from database.schema.adoption.marks import is_adopted
from database.schema.adoption.marks import own
from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture
from database.schema.migrations.history import History
from database.schema.migrations.history import history
from database.schema.migrations.own_schema import WIDENING
from database.schema.migrations.presence import advice
from database.schema.migrations.revisions.comparison import VERSION_TABLE
from database.schema.migrations.revisions.made import rendered
from database.schema.migrations.revisions.made import tables_made
from database.schema.migrations.supabase import functions

_QUOTE: Final = "$isthmus$"
_RECORD: Final = f"""\
create schema if not exists {SCHEMA};
{WIDENING};
do $isthmus$ begin
if to_regclass('{SCHEMA}.{VERSION_TABLE}') is null and to_regclass('{VERSION_TABLE}') is not null
then alter table {VERSION_TABLE} set schema {SCHEMA}; end if;
end $isthmus$;
create table if not exists {SCHEMA}.{VERSION_TABLE} (version_num varchar(32) primary key);
"""
_RECORDED: Final = sql.Identifier(SCHEMA, VERSION_TABLE)
_REVISION: Final = sql.SQL("""\
do {quote}
begin
if not exists (select from {recorded} where version_num = any(array[{there}])) then

{statements}

delete from {recorded} where version_num = any(array[{before}]::text[]);
insert into {recorded} values ({revision});
end if;
end
{quote};
""")
_ADOPTION: Final = sql.SQL("""\
do {quote}
begin
if exists (select from {recorded} where version_num = any(array[{own}]::text[]))
    and not exists (select from {recorded} where version_num = any(array[{others}]::text[]))
    and exists (select from unnest(array[{tables}]::text[]) as made where to_regclass(made) is not null) then
delete from {recorded} where version_num = any(array[{before}]::text[]);
insert into {recorded} values ({revision});
end if;
end
{quote};
""")


def supabase_script(schema: Schema) -> str:
    """Migrations, access rules, functions and the change log. Running it again applies only what is missing.

    Declared tables that no migration creates are omitted and listed in a comment.

    :param schema: the application's tables, with the folder of their migrations.
    """
    known = history(schema.migrations)
    declared = [*internal_tables.metadata.sorted_tables, *own(schema.metadata.sorted_tables)]
    made = tables_made(known.scripts).difference(
        table.name for table in schema.metadata.tables.values() if is_adopted(table)
    )
    rules = _joined(row_security.statements(declared, made))
    closed = _joined(row_security.closing(declared, made, known.all_released()))
    log = _joined(capture.supabase_statements(declared, made))
    left_out = "".join(f"-- {line}\n" for line in advice(sorted({table.name for table in declared} - made)))
    migrations = [_guarded(script, branch) for branch in (known.own, known.application) for script in branch]
    parts = [f"{left_out}{_RECORD}", *_adoptions(known), *migrations, rules, closed, functions.script(), log]
    return "begin;\n\n" + "\n".join(parts) + "\ncommit;\n"


def _joined(statements: Iterable[str]) -> str:
    return "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in statements)


def _guarded(script: Script, branch: Sequence[Script]) -> str:
    """A migration that is skipped if it, or a later one of its branch, was applied."""
    place = branch.index(script)
    return _REVISION.format(
        quote=sql.SQL(_QUOTE),
        recorded=_RECORDED,
        revision=sql.Literal(script.revision),
        there=_literals(branch[place:]),
        before=_literals(branch[:place]),
        statements=sql.SQL(rendered(script)),
    ).as_string(None)


def _adoptions(known: History) -> Iterator[str]:
    """SQL that records the application's migrations whose tables Isthmus's own have created, as an upgrade does."""
    for place, script in enumerate(known.application):
        if not hasattr(script.module, "adopts"):
            continue
        own = [one for one in known.own_with_sample() if one.revision >= script.module.adopts]
        yield _ADOPTION.format(
            quote=sql.SQL(_QUOTE),
            recorded=_RECORDED,
            own=_literals(own),
            others=_literals([*known.application[: max(place - 1, 0)], *known.application[place:]]),
            before=_literals(known.application[:place]),
            revision=sql.Literal(script.revision),
            tables=sql.SQL(", ").join(sql.Literal(f'"{name}"') for name in sorted(tables_made([script]))),
        ).as_string(None)


def _literals(scripts: Iterable[Script]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Literal(script.revision) for script in scripts)
