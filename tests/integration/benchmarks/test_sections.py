"""Every section of the benchmarks runs, as a whole run would, only on little; what figures come out says nothing."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import main
from benchmarks.earlier import ROOT
from benchmarks.earlier import pipeline_in
from benchmarks.plan import SMALL
from benchmarks.sections.loading import SECTIONS
from benchmarks.sections.loading import load
from benchmarks.summary import HEAD

_ON_DEMAND = {
    "the same, beside an earlier commit",
    "sync: dlt, first load of 100,000 rows",
    "sync: dlt, the same 1,000 changes",
}


# The official client of Supabase warns of what it does itself.
@pytest.mark.filterwarnings("ignore:The '(timeout|verify)' parameter is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("own_environment")
@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_measures_all_that_the_document_shows_of_it(name: str) -> None:
    section = load(name)
    tables = {table.title: table for table in section.tables(SMALL)}
    for table in tables.values():
        assert all(len(figures) == SMALL.rounds and min(figures) > 0 for figures in table.samples.values())
        assert f"ratio to *{table.baseline}*" in table.markdown()
    unmeasured = {line.label for line in section.LINES if not line.measured_in(tables[line.table])}
    assert unmeasured <= _ON_DEMAND


@pytest.mark.usefixtures("own_environment")
def test_the_command_ends_with_the_table_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    main(["pipeline"], SMALL)
    tables, _, summary = capsys.readouterr().out.partition("## Measured")
    assert "### A call that does nothing" in tables
    assert HEAD in summary
    assert "## Beside docs/reference/benchmarks.md" in summary


def test_a_section_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["mysql"], SMALL)
    assert "no such section: mysql" in capsys.readouterr().err


def test_the_pipeline_of_another_folder_is_measured_when_it_is_asked() -> None:
    with pipeline_in(ROOT, 10) as measure:
        assert min(measure(), measure()) > 0
