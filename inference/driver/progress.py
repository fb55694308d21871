"""Progress bars, and a word where a run on all rows will take long."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]
LONG = 300.0  # seconds left, from which on it is said how to be faster
MANY = 5000  # rows, of which a minibatch is a small part
logger = logging.getLogger(__name__)


def warn_if_long(report: Progress, config: object, rows: int) -> Progress:
    """`report`, which also says once, timed by what is done, that a run on all of many rows will take long."""
    if rows < MANY or getattr(config, "batch_size", None) is not None:
        return report
    name: str = getattr(config, "name", "")
    said, began, first = False, time.perf_counter(), 0

    def reporting(done: int, total: int, message: str) -> None:
        nonlocal said, began, first
        if first == 0:  # the first record tells where counting begins: a checkpoint may have had some
            began, first = time.perf_counter(), done
        elapsed = time.perf_counter() - began
        left = elapsed / max(done - first, 1) * (total - done)
        if not said and done > first and elapsed > 1 and left > LONG:
            said = True
            other = name if hasattr(config, "batch_size") else "svi or sgld"
            minutes = f"{name} on all {rows:,} rows will take about {left / 60:.0f} minutes"
            logger.warning(f"{minutes}; {other} with batch_size=256 looks at few rows a step")
        report(done, total, message)

    return reporting


@contextmanager
def progress_bar(title: str, progress: bool | Progress) -> Iterator[Progress]:
    """A function ``(done, total, message)`` that shows a bar with the time left, or `progress` itself if it is one."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda done, total, message: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:<18}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), "<")
    with Progress(
        *columns, TimeRemainingColumn(), TextColumn("{task.fields[message]}"), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task(title, total=None, message="compiling")
        yield lambda done, total, message: bar.update(task, completed=done, total=total, message=message)
