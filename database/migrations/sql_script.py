"""All that a Supabase project needs as one SQL script, for where no connection to its database can be made."""

from __future__ import annotations

import re
from io import StringIO
from typing import Final

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from psycopg import sql
from sqlalchemy.dialects import postgresql

from config.tables import metadata
from database.migrations import row_security
from database.migrations import runner
from database.migrations.capture import install as capture
from database.migrations.comparison import VERSION_TABLE
from database.migrations.presence import advice
from database.migrations.supabase import functions

_QUOTE: Final = "$isthmus$"
_RECORD: Final = f"create table if not exists {VERSION_TABLE} (version_num varchar(32) primary key)"
_TABLE: Final = re.compile(r"^(?P<verb>create|drop) table (?P<name>\"[^\"]+\"|[^\s(;]+)", re.I | re.M)
_REVISION: Final = sql.SQL("""\
do {quote}
begin
if coalesce((select max(version_num) from {recorded}), '') < {revision} then

{statements}

delete from {recorded};
insert into {recorded} values ({revision});
end if;
end
{quote};
""")


def supabase_script() -> str:
    """Migrations, access rules, functions and the log of changes. Run again, it applies what is missing.

    A declared table that no migration makes is left out, and named in a comment.
    """
    migrations = [_guarded(script) for script in runner.scripts()]
    made = _made("\n".join(migrations))
    rules = "".join(f"{statement};\n" for statement in row_security.statements(metadata, made))
    log = "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in capture.supabase_statements(metadata, made))
    left_out = "".join(f"-- {line}\n" for line in advice(sorted(metadata.tables.keys() - made)))
    parts = [f"{left_out}{_RECORD};\n", *migrations, rules, functions.script(), log]
    return "begin;\n\n" + "\n".join(parts) + "\ncommit;\n"


def _made(migrations: str) -> set[str]:
    """The tables that there are when they have run."""
    made: set[str] = set()
    for match in _TABLE.finditer(migrations):
        name = match["name"].strip('"')
        if match["verb"].lower() == "create":
            made.add(name)
        else:
            made.discard(name)
    return made


def _guarded(script: Script) -> str:
    """A migration that is skipped where it, or a later one, was applied; revisions count upwards."""
    return _REVISION.format(
        quote=sql.SQL(_QUOTE),
        recorded=sql.Identifier(VERSION_TABLE),
        revision=sql.Literal(script.revision),
        statements=sql.SQL(_statements(script)),
    ).as_string(None)


def _statements(script: Script) -> str:
    """What a migration would execute on PostgreSQL."""
    output = StringIO()
    context = MigrationContext.configure(
        dialect=postgresql.psycopg.dialect(),  # type: ignore[no-untyped-call]
        opts={"as_sql": True, "output_buffer": output},
    )
    with Operations.context(context):
        script.module.upgrade()
    return output.getvalue().strip()
