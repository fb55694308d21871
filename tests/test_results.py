"""What the pages say of runs is what the committed tables of those runs say."""

import runpy
from pathlib import Path

import pandas as pd
from noisezoo.inference.references import stored

ROOT = Path(__file__).parents[1]
TABLES = runpy.run_path(str(ROOT / "docs" / "results" / "verdicts" / "tables.py"))


def test_the_leaderboard_has_every_reference_and_every_cell(tmp_path):
    page = runpy.run_path(str(ROOT / "docs" / "leaderboard_page.py"))
    page["write"](tmp_path / "page.md")
    text, files = (tmp_path / "page.md").read_text(), stored.stored()
    for name, one in files.items():
        assert f"| {name} |" in text and (one.agreed or one.why in text)
    table = pd.read_csv(page["TABLE"])
    assert {name for name in table["problem"]} <= {name for name, one in files.items() if one.agreed}
    for _, row in table.iterrows():
        (line,) = [
            line
            for line in text.partition(f"### {row['problem']}\n")[2].partition("###")[0].splitlines()
            if line.startswith(f"| {row['strategy']} |")
        ]
        assert f"{row['verdict']}: {row['reason']}" in line


def shown(page):
    """The lines of a page, however wide their columns are."""
    return [" ".join(line.split()) for line in (ROOT / page).read_text().splitlines()]


def test_verdicts_of_the_results_are_those_of_the_tables():
    page, wanted = shown("docs/results.md"), [" ".join(line.split()) for line in TABLES["page"]()]
    first = page.index(wanted[0])
    assert page[first : first + len(wanted) + 1] == [*wanted, ""]  # and no other


def test_the_demo_of_the_readme_is_that_of_the_table():
    assert [line for line in TABLES["readme"]() if line not in shown("README.md")] == []
