"""What is wrong with a table: `checked` refuses what surely is, `doubts` names what is likely so."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from ..errors import unknown

MIN_ROWS = 10
FEW = 20  # a column of more different values than this is not a handful of labels
MARK = r"[€$£¥]|USD|EUR|GBP"
NUMBER = (
    rf"\(?[-+−]?\s?(?:{MARK})?\s?[-+−]?"
    r"(?:\d{1,3}(?:(?:,\d{2,3})+|(?:[.'’_\s]\d{3})+)|\d*)(?:[.,]\d+)?"
    rf"\s?(?:%|‰|{MARK})?\)?"
)
DECIMAL_COMMA = r"(?:^|\D)0,|,(?!\d{3}(?!\d))"  # no thousands stand before it, or behind
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DATE = (
    r"(?i)(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})|\d{1,2}:\d{2}(?::\d{2})?"
    rf"|(?:[a-z]+,? )?(?:\d{{1,2}}(?:st|nd|rd|th)?[ -]{MONTH}|{MONTH} \d{{1,2}}(?:st|nd|rd|th)?),?[ -]\d{{2,4}})"
    r"(?:[ T].*|Z)?"
)


def checked(frame: Any, target: str, drop: Sequence[str] = ()) -> pd.DataFrame:
    """The table without the columns to `drop`, its column names as text; raises for what is surely wrong with it."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"from_frame takes a pandas DataFrame, not {type(frame).__name__}: wrap it in pd.DataFrame.")
    if frame.columns.nlevels > 1:
        raise ValueError("the table has a header of several lines: give each column one name.")
    frame = frame.rename(columns=str)
    check_names(frame.columns)
    frame = _without(frame, target, drop)
    if frame.empty:
        raise ValueError("the table is empty: it needs rows, a target column and at least one feature column.")
    if target not in frame:
        raise unknown("target column", target, frame.columns)
    if frame.shape[1] < 2:
        raise ValueError(f"the table has no column besides its target {target!r}: add at least one feature.")
    if len(frame) < MIN_ROWS:
        raise ValueError(f"the table has {len(frame)} rows, too few to train and to test on: it needs {MIN_ROWS}.")
    for name in frame:
        _check_column(frame[name])
    for name in frame.columns.drop(target):
        _check_feature(frame[name])
    return frame


def check_names(names: Iterable[str]) -> None:
    """Raise if a name occurs twice, blanks around it left aside."""
    counts = Counter(name.strip() for name in names)
    if twice := [name for name, count in counts.items() if name and count > 1]:
        raise ValueError(f"column {twice[0]!r} occurs twice: rename or remove one of them.")


def is_text(column: Any) -> bool:
    """Whether a column holds text or pandas' categories."""
    return isinstance(column.dtype, pd.CategoricalDtype) or types.is_string_dtype(column)


def _without(frame: pd.DataFrame, target: str, drop: Sequence[str]) -> pd.DataFrame:
    if isinstance(drop, str):
        raise TypeError(f"drop takes a list of columns: write drop=[{drop!r}].")
    for name in map(str, drop):
        if name == target:
            raise ValueError(f"column {name!r} is the target: leave it out of those to drop.")
        if name not in frame:
            raise unknown("column to drop", name, frame.columns)
    return frame.drop(columns=list(map(str, drop)))


def _dropping(name: Any) -> str:
    return f"drop it (drop=[{name!r}], --drop {shlex.quote(name)})"


def _check_column(column: Any) -> None:
    name, rows = column.name, len(column)
    if re.fullmatch(r"Unnamed: \d+", name):
        raise ValueError(
            f"column {name!r} has no name, as the index has that pandas writes: {_dropping(name)}, or name it."
        )
    if missing := int(column.isna().sum()):
        raise ValueError(
            f"column {name!r} is missing (NaN) in {missing} of {rows} rows: fill it in, leave those rows out, "
            f"or {_dropping(name)}."
        )
    if is_text(column):
        _check_text(column)
    elif not types.is_numeric_dtype(column) or types.is_complex_dtype(column):
        raise TypeError(
            f"column {name!r} has dtype {column.dtype}, neither real numbers nor text: convert it, or "
            f"{_dropping(name)}."
        )
    elif infinite := int(np.isinf(column.to_numpy(dtype=float)).sum()):
        raise ValueError(f"column {name!r} is infinite in {infinite} of {rows} rows: replace it or drop them.")


def _check_text(column: Any) -> None:
    """Dates and numbers that are written as text are no categories."""
    name, values = column.name, _values(column).str.strip()
    date = values.str.fullmatch(DATE)
    if date.mean() > 0.5:
        raise ValueError(
            f"column {name!r} holds dates as text, such as {values[date].iloc[0]!r}: put a number in its place (days "
            f"since the first), or {_dropping(name)}."
        )
    if not isinstance(column.dtype, pd.CategoricalDtype):
        _check_numbers(name, values)


def _check_numbers(name: Any, values: Any) -> None:
    plain = pd.Series(pd.to_numeric(values, errors="coerce"), values.index).notna()
    dressed = ~plain & values.str.fullmatch(NUMBER) & values.str.contains(r"\d")
    number = plain | dressed
    if len(values) > FEW and _one_unit(values):
        dressed = number = values.notna()
    if number.mean() <= 0.5:
        return
    if len(values) > FEW and not number.all():
        stray = values[~number].iloc[0]
        raise ValueError(f"column {name!r} has text ({stray!r}) among its numbers: replace it or drop the rows.")
    if dressed.any():
        decimals = dressed & values.str.contains(DECIMAL_COMMA)
        example = values[decimals if decimals.any() else dressed].iloc[0]
        comma = ", or say decimal=',' (--decimal ',')" if decimals.any() else ""
        raise ValueError(
            f"column {name!r} has numbers written as text, such as {example!r}: write {undressed(example)}{comma}."
        )
    if len(values) > FEW:
        raise ValueError(
            f"column {name!r} holds numbers as text, such as {values.iloc[0]!r}: convert it by pd.to_numeric, "
            "or leave decimal out."
        )


def _one_unit(values: Any) -> bool:
    """Whether all are numbers with the same unit behind, as in '12 kg'."""
    units = values.str.extract(rf"^(?=.*\d){NUMBER}\s?([^\W\d_][^\d\s.,]*)$", expand=False)
    return bool(units.notna().all()) and units.nunique() == 1


def undressed(text: str) -> str:
    """A number as this package reads it: digits, a sign, a decimal point.

    >>> [undressed(text) for text in ("2,084", "0,126", "12.5%", "3,14", "$38.37", "1 234", "1.234,5", "(7)")]
    ['2084', '0.126', '12.5', '3.14', '38.37', '1234', '1234.5', '-7']
    """
    number = re.sub(r"[^\d.,]", "", text)
    marks = re.findall(r"[.,]", number)
    thousands = len(marks) > 1 and len(set(marks)) == 1 or marks == [","] and not re.search(DECIMAL_COMMA, number)
    whole, point, rest = (number, "", "") if thousands or not marks else number.rpartition(marks[-1])
    negative = re.match(r"\s*(\(|\D{0,3}[-−])", text)
    return ("-" if negative else "") + re.sub(r"\D", "", whole) + (f".{rest}" if point else "")


def _check_feature(column: Any) -> None:
    """Text of which most values occur once tells nothing about other rows."""
    if not is_text(column):
        return
    counts, rows = column.value_counts(), len(column)
    counts = counts[counts > 0]
    if len(counts) == rows or (len(counts) > FEW and (counts == 1).mean() > 0.5):
        raise ValueError(
            f"column {column.name!r} is text of {len(counts)} different values in {rows} rows, each of which would be "
            f"a feature: {_dropping(column.name)}, or group its values."
        )


def doubts(frame: pd.DataFrame, target: str, task: str, inferred: bool) -> tuple[str, ...]:
    """What is likely wrong with a table that passed, a sentence each; `inferred`: nobody told the task."""
    goal = frame[target]
    answer = goal.to_numpy(float) if task == "regression" else pd.factorize(goal)[0]
    found = [*_doubts_of_task(goal, task)] if inferred else []
    for name in frame:
        found += _doubts_of_spelling(frame[name]) if is_text(frame[name]) else ()
    for name in frame.columns.drop(target):
        found += _doubts_of_feature(frame[name], answer, task)
    return tuple(found)


def _doubts_of_task(goal: Any, task: str) -> Iterator[str]:
    count = goal.nunique()
    if task == "categorical" and types.is_integer_dtype(goal):
        taken, truly, other = f"{count} whole numbers, taken for classes", "a quantity", "regression"
    elif task == "regression" and (count == 2 or (count <= FEW and (goal % 1 == 0).all())):
        other = "binary" if count == 2 else "categorical"
        taken, truly = f"only {count} different numbers, taken for a quantity", "classes"
    else:
        return
    yield f"target {goal.name!r} holds {taken}: if it is {truly}, say task={other!r} (--task {other})."


def _doubts_of_spelling(column: Any) -> Iterator[str]:
    values = _values(column)
    folded = values.str.split().str.join(" ").str.casefold()
    if (again := folded.duplicated()).any():
        one, two = values[folded == folded[again].iloc[0]].iloc[:2]
        yield f"column {column.name!r} has {one!r} and {two!r}, which differ by their spelling only: make them one."


def _doubts_of_feature(column: Any, answer: np.ndarray, task: str) -> Iterator[str]:
    name = column.name
    if _gives_away(column, answer, task):
        yield f"column {name!r} gives the target away in every row: {_dropping(name)} if it is not known beforehand."
    elif is_text(column):
        if (levels := column.nunique()) > FEW:
            yield f"column {name!r} is text of {levels} different values and becomes as many features: group them."
    elif column.min() == column.max():
        yield f"column {name!r} is {column.iloc[0]} in every row and tells nothing: {_dropping(name)}."
    elif _counts_rows(column):
        yield f"column {name!r} counts the rows, each number once: {_dropping(name)} if it is a number of the row."
    elif name.casefold().endswith(("id", "index")) and types.is_integer_dtype(column) and column.is_unique:
        yield f"column {name!r} has a whole number of its own in every row: {_dropping(name)} if it names the row."


def _gives_away(column: Any, answer: np.ndarray, task: str) -> bool:
    """Whether a feature is the target again: the same numbers, or the same classes under whatever names."""
    if task == "regression":
        return not is_text(column) and np.array_equal(column.to_numpy(float), answer)
    return np.array_equal(pd.factorize(column)[0], answer)


def _counts_rows(column: Any) -> bool:
    """Whether the numbers are consecutive, each once, in any order."""
    ordered = np.sort(column.to_numpy(float))
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((ordered % 1 == 0).all() and (np.diff(ordered) == 1).all())


def _values(column: Any) -> Any:
    """The different values of a column of text, as Python's text."""
    return pd.Series(column.unique()).astype(str).astype(object)
