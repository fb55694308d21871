"""What is said of a run that will take long."""

import logging

from noisezoo.inference.driver import progress
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi


def told(config, rows, caplog, monkeypatch, seconds=10.0):
    """The warnings of a run of a hundred records, each of which takes so many seconds."""
    seen = []
    monkeypatch.setattr(progress.time, "perf_counter", lambda: seconds * len(seen))
    report = progress.warn_if_long(lambda *args: seen.append(args), config, rows)
    with caplog.at_level(logging.WARNING, "noisezoo"):
        for done in range(1, 101):
            report(done, 100, "")
    assert [done for done, _, _ in seen] == list(range(1, 101))
    return [record.getMessage() for record in caplog.records]


def test_a_long_run_on_all_of_many_rows_is_told_once(caplog, monkeypatch):
    (said,) = told(svi(), 100_000, caplog, monkeypatch)
    assert (
        said == "svi on all 100,000 rows will take about 16 minutes; svi with batch_size=256 looks at few rows a step"
    )
    assert svi(batch_size=256)


def test_a_sampler_without_minibatches_names_those_that_have_them(caplog, monkeypatch):
    (said,) = told(NUTS(), 100_000, caplog, monkeypatch)
    assert "svi or sgld with batch_size=256" in said


def test_others_are_not_told(caplog, monkeypatch):
    assert told(svi(batch_size=100), 100_000, caplog, monkeypatch) == []
    assert told(svi(), 500, caplog, monkeypatch) == []
    assert told(svi(), 100_000, caplog, monkeypatch, seconds=0.1) == []
