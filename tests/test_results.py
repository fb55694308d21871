"""What the pages say of runs is what the committed tables of those runs say."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLES = runpy.run_path(str(ROOT / "docs" / "results" / "verdicts" / "tables.py"))


def shown(page):
    """The lines of a page, however wide their columns are."""
    return [" ".join(line.split()) for line in (ROOT / page).read_text().splitlines()]


def test_verdicts_of_the_results_are_those_of_the_tables():
    page, wanted = shown("docs/results.md"), [" ".join(line.split()) for line in TABLES["page"]()]
    first = page.index(wanted[0])
    assert page[first : first + len(wanted) + 1] == [*wanted, ""]  # and no other


def test_the_demo_of_the_readme_is_that_of_the_table():
    assert [line for line in TABLES["readme"]() if line not in shown("README.md")] == []
