"""The five papers, a file to each: its programs as priors and models, and what it says, as data.

A file ends with its `Paper`: sites as a table, equations by number with errata, guide and protocol by name.  The
command ``noisezoo papers`` and the pages of the docs are made from that.

>>> paper("sparse_vd").year
2017
"""

from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from ...errors import unknown

PAPERS = ("scale_mixture", "structured_shrinkage", "empirical_bayes", "direction_magnitude", "sparse_vd")


class Site(NamedTuple):
    """A site of the program: its name, its law, and what the paper's inference has in its place."""

    name: str
    law: str
    guide: str


class Equation(NamedTuple):
    """An equation by its number in print: what it is, where it is here, and what is wrong in print, if anything is.

    `code` is a name within noisezoo, what to write for PRIOR or a strategy, or a file.
    """

    number: str
    text: str
    code: str = ""
    erratum: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper.

    name, title, authors, year, where : who, what, when, where.
    idea : in a sentence or two.
    programs : what to write for PRIOR on the command line -> what it is; the first is the paper's own.
    sites, equations : tables.
    guide : the settings of its own inference, as words of the command line.
    protocol : how it trained -> setting.
    run : commands, the shortest first.
    results : the page of the docs, and its heading, where our results are.
    """

    name: str
    title: str
    authors: str
    year: int
    where: str
    idea: str
    programs: dict[str, str]
    sites: tuple[Site, ...]
    equations: tuple[Equation, ...]
    guide: str
    protocol: dict[str, str]
    run: tuple[str, ...]
    results: str

    @property
    def citation(self) -> str:
        return f"{self.authors} ({self.year}). {self.title}. {self.where}."


def paper(name: str) -> Paper:
    """The paper called `name`; raises ValueError with the nearest known ones."""
    if name not in PAPERS:
        raise unknown("paper", name, PAPERS)
    return import_module(f".{name}", __name__).PAPER
