"""The atlas: every noise x structure x strategy as a page of small figures, with a sentence for each that is off."""

import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from ..files import file_name, through, write
from ..judging.pictures.style import INK, new_figure
from .calibrate import LEVEL
from .cells import DONE, WAITING, Cell
from .pictures import CAPTION, WRONG, legend, panel
from .ranks import short_p

PAGE = "index.md"
WORDS, LINES = 24, 7  # letters in a line of a panel without a figure, and lines
TESTED = ("calibrated", "not calibrated")
# Why a strategy may be off without any mistake: the first name that is in the words of the strategy.
WHY = {
    "nuts": "it is exact in the long run, and these are short chains, which may not get down a funnel",
    "mean_field": "independent normals leave correlations out and are narrower than a correlated posterior; a finding",
    "laplace": "a normal with the curvature at one mode has neither the posterior's skew nor other modes; a finding",
    "svi": "a guide is as good as its family; a finding",
    "mclmc": "no step is rejected, so that the law is off by what the step size leaves; a finding",
    "sg": "no step is rejected and all directions have one step size, so that narrow ones come out too wide and wide "
    "ones are hardly crossed; a finding",
}
HEAD = """# The atlas of calibration

Every named noise under {structures} structures and {strategies} strategies, on ten rows, two features and the network
`{network}`, {simulations} data sets a cell. Data are drawn from the prior, the strategy is fitted to each, and the
truth is ranked among its draws; [calibration](../../calibration.md) says what is ranked and tested. Made by

```bash
noisezoo calibrate --atlas {options}--out docs/results/atlas
```

which goes on where it was stopped. `table.csv` beside this page has the numbers, `cells/` the ranks.

**{total} cells: {counts}.** Of the {done} that were tested, at a level of {level:.0%}, about {chance:.1f} would be
called not calibrated by chance.

In the figures, a row for each structure and a column for each strategy. {caption}"""
Rows = list[dict[str, Any]]


def write_page(folder: Path, results: dict[Cell, dict[str, Any] | None], rows: Rows) -> None:
    """Write the page ``index.md`` and a figure for each prior into the folder of an atlas.

    `results` are those of the cells (None for one not run), `rows` the same in words (see `run.rows`), in one order.
    """
    own: dict[str, list[tuple[Any, dict[str, Any]]]] = {}
    for result, row in zip(results.values(), rows, strict=True):
        own.setdefault(row["prior"], []).append((result, row))
    page = [_head(rows), "## At a glance", *_glance(rows)]
    for prior, pairs in own.items():
        name = Path(prior).name
        page.append(f"## {name}")
        if any(result is not None and result["status"] == DONE for result, _ in pairs):
            drawn, png = figure(pairs), f"{file_name(name)}.png"
            through(folder / png, lambda part, drawn=drawn: drawn.savefig(part, dpi=80))
            page.append(f"![Ranks under {name}]({png})")
        page.append(_sentences([row for _, row in pairs]))
    write(folder / PAGE, "\n\n".join(page) + "\n")


def figure(pairs: list[tuple[Any, dict[str, Any]]]) -> Any:
    """The panels of one prior: a row for each structure, a column for each strategy."""
    structures, strategies = (_values([row for _, row in pairs], key) for key in ("structure", "strategy"))
    drawn = new_figure(2.1 * len(strategies), 1.6 * len(structures) + 0.5)
    axes = drawn.subplots(len(structures), len(strategies), squeeze=False, sharex=True, sharey=True)
    for result, row in pairs:
        i, j = structures.index(row["structure"]), strategies.index(row["strategy"])
        ax = axes[i, j]
        ax.tick_params(labelsize=6)
        head = "not yet run" if result is None else row["verdict"]
        if result is not None and result["status"] == DONE:
            panel(ax, result["pit"], len(result["pit"]))
            head = f"p {short_p(row['p'])}"
        elif result is not None:
            text = "\n".join(textwrap.wrap(row["reason"], WORDS)[:LINES])
            ax.text(0.5, 0.5, text.replace("$", r"\$"), ha="center", va="center", fontsize=5.5, transform=ax.transAxes)
        ax.set_title(head, fontsize=7, color=WRONG if row["verdict"] == TESTED[1] else INK)
        if i == 0:
            ax.annotate(_short(row["strategy"]), (0.5, 1.25), xycoords="axes fraction", ha="center", fontsize=9)
        if j == 0:
            ax.set_ylabel(row["structure"], fontsize=9)
    legend(drawn)
    return drawn


def _head(rows: Rows) -> str:
    """What the page is of, and how far it has come."""
    first, counts = rows[0], Counter(row["verdict"] for row in rows)
    done = sum(counts[word] for word in TESTED)
    named = [f"{n} {'not yet run' if word == WAITING else word}" for word, n in counts.most_common()]
    default = Cell._field_defaults["simulations"]
    return HEAD.format(
        structures=len(_values(rows, "structure")),
        strategies=len(_values(rows, "strategy")),
        network=first["network"],
        simulations=first["simulations"],
        options="" if first["simulations"] == default else f"--simulations {first['simulations']} ",
        total=len(rows),
        counts=", ".join(named),
        done=done,
        level=LEVEL,
        chance=LEVEL * done,
        caption=CAPTION,
    )


def _glance(rows: Rows) -> list[str]:
    """One table for each strategy: p of each prior under each structure, in bold where it is not calibrated."""
    structures, parts = _values(rows, "structure"), []
    for strategy in _values(rows, "strategy"):
        shown: dict[str, list[str]] = {}
        for row in rows:
            if row["strategy"] == strategy:
                shown.setdefault(Path(row["prior"]).name, []).append(_shown(row))
        lines = [f"| {_short(strategy)} | {' | '.join(structures)} |", "|---" * (len(structures) + 1) + "|"]
        parts.append("\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in shown.items())]))
    return parts


def _shown(row: dict[str, Any]) -> str:
    if row["verdict"] in TESTED:
        return f"**{short_p(row['p'])}**" if row["verdict"] == TESTED[1] else short_p(row["p"])
    return "not yet run" if row["verdict"] == WAITING else row["verdict"]


def _sentences(rows: Rows) -> str:
    """Why a cell is refused, failed or is not calibrated; those that say the same together."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if row["verdict"] not in (TESTED[0], WAITING):
            text = f"{row['verdict']}: {row['reason']}"
            if row["verdict"] == TESTED[1]:
                text += f". Why: {next((why for name, why in WHY.items() if name in row['strategy']), 'not known')}"
            said.setdefault(text, []).append(f"{row['structure']} {_short(row['strategy'])}")
    lines = [f"- {', '.join(where)}: {text}." for text, where in said.items()]
    if waiting := sum(row["verdict"] == WAITING for row in rows):
        lines.append(f"- Not yet run: {waiting} of {len(rows)} cells.")
    return "\n".join(lines) or "Nothing is off."


def _values(rows: Rows, key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _short(strategy: str) -> str:
    return strategy.replace("guide=", "")
