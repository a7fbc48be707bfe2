"""Which tables there are when all migrations have run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from database.declared import declared_schema
from database.schema.migrations.history import history
from database.schema.migrations.revisions.made import tables_made

HEAD = "import sqlalchemy as sa\nfrom alembic import op\n"


def script(folder: Path, *lines: str) -> Any:
    """A migration whose ``upgrade`` has these lines."""
    path = folder / f"{len(list(folder.iterdir()))}.py"
    path.write_text(f"{HEAD}def upgrade():\n" + "".join(f"    {line}\n" for line in lines))
    module: dict[str, Any] = {}
    exec(path.read_text(), module)  # noqa: S102  # the lines above
    return SimpleNamespace(path=str(path), module=SimpleNamespace(**module))


def test_the_shipped_ones_make_the_declared_tables() -> None:
    schema = declared_schema()
    assert {table.name for table in schema} == tables_made(history(schema.migrations).scripts)


@pytest.mark.parametrize(
    ("lines", "made"),
    [
        (["op.create_table('a', sa.Column('id', sa.Text))"], {"a"}),
        (["for name in 'ab':", "    op.create_table(f'my_{name}', sa.Column('id', sa.Text))"], {"my_a", "my_b"}),
        (["op.execute('create table if not exists public.a (id text)')"], {"a"}),
        (["op.execute('create table isthmus_private.a (id text)')"], {"a"}),
        (["op.create_table('Odd \"one', sa.Column('id', sa.Text))"], {'Odd "one'}),
        (["op.create_table('a', sa.Column('id', sa.Text))", "op.rename_table('a', 'b')"], {"b"}),
        (["op.create_table('a', sa.Column('id', sa.Text))", "op.drop_table('a')"], set()),
        (["op.create_index('i', 'a', ['id'])"], set()),
        # It takes a database to run on.
        (
            ["op.create_table('a', sa.Column('id', sa.Text))", "op.get_bind().execute(sa.text('select 1')).scalar()"],
            {"a"},
        ),
    ],
)
def test_what_a_migration_makes(tmp_path: Path, lines: list[str], made: set[str]) -> None:
    assert tables_made([script(tmp_path, *lines)]) == made


def test_migrations_go_on_from_each_other(tmp_path: Path) -> None:
    first = script(tmp_path, "op.create_table('a', sa.Column('id', sa.Text))")
    assert tables_made([first, script(tmp_path, "op.rename_table('a', 'b')")]) == {"b"}
    assert tables_made([first, script(tmp_path, "op.drop_table('a')")]) == set()
