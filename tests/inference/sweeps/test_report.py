"""The report of a sweep is text, whatever names, reasons and files hold."""

from html.parser import HTMLParser

import pytest
from noisezoo.inference.sweeps import report, store
from noisezoo.inference.sweeps.store import Cell

EVIL = "<script>'\"&lt;"
FOLDER = "<script src=x onload=x>"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.handlers, self.text, self.inside = set(), [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.inside = tag

    def handle_data(self, data):
        self.text.append((self.inside, data))


def cell(folder, keys, one, **facts):
    store.write(folder, keys[one], {"cell": one._asdict(), "seconds": 1.0, "reason": "", "scores": {}} | facts)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report of a sweep whose every name is markup: with a picture, and with the sentence in its place."""
    folder = tmp_path_factory.mktemp("sweeps") / FOLDER
    methods, data = [f"a {EVIL}", f"b {EVIL}"], [f"one {EVIL}", f"two {EVIL}", f"three {EVIL}"]
    facts = {
        "ppl": "numpyro",
        "models": {EVIL: {"prior": EVIL}},
        "strategies": dict.fromkeys(methods, {}),
        "files": {},
        "cells": [[EVIL, method, name, 0, 0] for method in methods for name in data],
    }
    store.create(folder, facts, {"file": EVIL, "text": EVIL, "versions": {EVIL: EVIL}}).close()
    keys = store.keys(facts)
    for i, method in enumerate(methods):
        for name in data[:2]:
            scores = {"rmse": 1.0 + i, "mlpd": -1.0}
            cell(folder, keys, Cell(EVIL, method, name, 0, 0), status="done", reason=EVIL, scores=scores)
        cell(folder, keys, Cell(EVIL, method, data[2], 0, 0), status="failed", reason=EVIL)

    def made():
        report.make(folder)
        return Page((folder / "report.html").read_text())

    with pytest.MonkeyPatch.context() as patch:
        whole = made()

        def broken(*of):
            raise ValueError(EVIL)

        patch.setattr(report.ranks, "plot", broken)
        with pytest.warns(UserWarning, match="could not be drawn"):
            return [whole, made()]


@pytest.mark.parametrize("number", [0, 1])
def test_markup_in_names_and_reasons_is_text(pages, number):
    page = pages[number]
    assert "script" not in page.tags and not page.handlers
    assert ("img" in page.tags) == (number == 0)  # the ranks, drawn
    where = {tag for tag, text in page.text if EVIL in text}
    # names of data sets; methods, and reasons in tables; ranks in words; the file and its command
    assert {"h2", "td", "p", "pre"} <= where
    assert any(tag == "h1" and FOLDER in text for tag, text in page.text)
