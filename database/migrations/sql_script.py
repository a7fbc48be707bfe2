"""All that a Supabase project needs as one SQL script, for where no connection to its database can be made."""

from __future__ import annotations

from typing import Final

from alembic.script import Script
from psycopg import sql

from config.tables import metadata
from database.migrations import row_security
from database.migrations import runner
from database.migrations.capture import install as capture
from database.migrations.comparison import VERSION_TABLE
from database.migrations.made import rendered
from database.migrations.made import tables_made
from database.migrations.presence import advice
from database.migrations.supabase import functions

_QUOTE: Final = "$isthmus$"
_RECORD: Final = f"create table if not exists {VERSION_TABLE} (version_num varchar(32) primary key)"
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
    scripts = runner.scripts()
    made = tables_made(scripts)
    rules = "".join(f"{statement};\n" for statement in row_security.statements(metadata, made))
    closed = "".join(f"{statement};\n" for statement in row_security.closing(metadata, made))
    log = "".join(f"{statement.rstrip().rstrip(';')};\n" for statement in capture.supabase_statements(metadata, made))
    left_out = "".join(f"-- {line}\n" for line in advice(sorted(metadata.tables.keys() - made)))
    parts = [f"{left_out}{_RECORD};\n", *map(_guarded, scripts), rules, closed, functions.script(), log]
    return "begin;\n\n" + "\n".join(parts) + "\ncommit;\n"


def _guarded(script: Script) -> str:
    """A migration that is skipped where it, or a later one, was applied; revisions count upwards."""
    return _REVISION.format(
        quote=sql.SQL(_QUOTE),
        recorded=sql.Identifier(VERSION_TABLE),
        revision=sql.Literal(script.revision),
        statements=sql.SQL(rendered(script)),
    ).as_string(None)
