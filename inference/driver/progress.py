"""Progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int, str], None]


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
