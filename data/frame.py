"""A pandas table in, standardised arrays out: `Data`, `from_frame`, and what was `understood` of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.preprocessing import StandardScaler

from ..errors import unknown
from . import splits
from .checks import FEW, checked, doubts, is_text

TASKS = ("regression", "binary", "categorical")
NUMBER, YES_NO, CATEGORY, PIXEL = "number", "yes/no", "category", "pixel"
PLURALS = {NUMBER: "numbers", YES_NO: "yes/no", CATEGORY: "categories", PIXEL: "pixels"}
WARNING = "warning: "
SHOWN = 8  # names that are shown before "..."


class Column(NamedTuple):
    """What a column of a table was taken for: a number, yes/no, a category of so many `levels`, or a pixel."""

    name: str
    kind: str
    levels: int = 0


@dataclass(frozen=True, eq=False)
class Data:
    """One train/test split of a data set, standardised by its training rows.

    A feature column is ``x * x_scale + x_mean`` in its own units (`x_scale` is 1 for a column that is constant in the
    training rows), and `original` does the same for a standardised target.  Pixels are divided by the largest pixel
    value and centred by each pixel's mean, all by one scale, so that a nearly empty pixel is not blown up.
    """

    name: str
    task: str  # "regression", "binary" or "categorical"
    classes: tuple[str, ...]  # label of class 0, 1, ...; () for regression
    x_train: np.ndarray  # float32 (rows, features)
    x_test: np.ndarray
    y_train: np.ndarray  # (rows,): float32 standardised for regression, int32 class numbers otherwise
    y_test: np.ndarray
    features: tuple[str, ...]
    target: str
    unit: str  # of the target, "" where there is none
    x_mean: np.ndarray  # float64 (features,)
    x_scale: np.ndarray
    y_mean: float  # 0 and 1 for classification
    y_scale: float
    split: int
    columns: tuple[Column, ...] = ()  # of the table, without the target; a category becomes several features
    doubts: tuple[str, ...] = ()  # what is likely wrong with the table, a sentence each

    def original(self, y: Any) -> Any:
        """A standardised target, or a prediction of it (any array, any shape), in the target's own units, float64.

        In single precision a target far from zero would lose what it varies by.
        """
        return np.asarray(y, np.float64) * self.y_scale + self.y_mean


def from_frame(
    frame: pd.DataFrame,
    target: str,
    task: str | None = None,
    test_fraction: float = 0.1,
    seed: int = 0,
    *,
    drop: Sequence[str] = (),
    split: int = 0,
    name: str = "table",
    unit: str = "",
) -> Data:
    """A user's own table as `Data`; `understood` tells what was made of it.

    Text and categorical feature columns become one column per value (``pandas.get_dummies``), the columns to `drop` are
    left out.  Without a `task`, a target of floats or of more than 20 distinct numbers is a regression, any other a
    classification.  The split is scikit-learn's shuffle split number `split` (0 to 19) of the series `seed`, stratified
    by class.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the column and the fix: unknown or constant target, one class only, NaN or infinite
        values, a name that occurs twice or is missing, numbers and dates written as text, text that is different in
        every row, a dtype that is neither numbers nor text, too few rows.
    """
    target = str(target)
    frame = checked(frame, target, drop)
    splits.check(name, split, splits.SPLITS)
    column = frame[target]
    inferred = task is None
    task = task or _infer_task(column)
    _check_target(column, task)
    train, test = splits.shuffled(column, task != "regression", test_fraction, seed, split)
    data = arrays(frame, target, task, train, test, name=name, unit=unit, split=split)
    return replace(data, doubts=doubts(frame, target, task, inferred))


def understood(data: Data) -> list[str]:
    """What was made of a data set, in three lines: rows, features, target; then a warning for each of its doubts.

    >>> from noisezoo import data
    >>> for line in data.understood(data.load("diabetes")):
    ...     print(line)
    rows: 397 to train on, 45 to test on (split 0)
    features: 10, from 10 numbers (age, sex, bmi, bp, s1, s2, s3, s4, ...)
    target: progression, regression (25 to 346)
    """
    more = len(data.doubts) - SHOWN
    features = "; ".join(filter(None, (_of_kind(data.columns, kind) for kind in PLURALS)))
    lines = [
        f"rows: {len(data.y_train):,} to train on, {len(data.y_test):,} to test on (split {data.split})",
        f"features: {len(data.features):,}" + (f", from {features}" if features else ""),
        f"target: {data.target}, {data.task} ({_range(data)})",
        *(f"{WARNING}{doubt}" for doubt in data.doubts[:SHOWN]),
        *[f"{WARNING}and {more} more, in the doubts of the data."] * (more > 0),
    ]
    return [" ".join(line.split()) for line in lines]


def _of_kind(columns: Iterable[Column], kind: str) -> str:
    """How many columns of a kind, and their names: ``2 categories (city of 4, type of 3)``."""
    names = [f"{c.name} of {c.levels}" if c.levels else c.name for c in columns if c.kind == kind]
    counted = f"{len(names):,} {kind if len(names) == 1 else PLURALS[kind]}"
    return f"{counted} ({_some(names)})" if names else ""


def _range(data: Data) -> str:
    if data.task != "regression":
        return f"{len(data.classes)} classes: {_some(data.classes)}"
    y = data.original(np.concatenate([data.y_train, data.y_test]).astype(float))
    low, high = (round(float(end), 5 - int(np.log10(data.y_scale))) for end in (y.min(), y.max()))  # y has 7 digits
    return f"{low:.15g} to {high:.15g} {data.unit}".strip()


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *["..."] * (len(names) > SHOWN)])


def arrays(
    frame: pd.DataFrame,
    target: str,
    task: str,
    train: np.ndarray,
    test: np.ndarray,
    *,
    name: str,
    unit: str,
    split: int,
    pixels: int = 0,
) -> Data:
    """Standardise the `train` and `test` rows of a checked table by the training rows."""
    table: Any = frame.drop(columns=target)
    columns = tuple(Column(c, PIXEL) if pixels else _column(table[c]) for c in table)
    table = _numbers(table, [c.name for c in columns if c.kind == CATEGORY])
    features = tuple(table)
    x_train, x_test = (table.iloc[rows].to_numpy(dtype=float) for rows in (train, test))
    x_mean, x_scale = _scaler(x_train)
    if pixels:
        x_scale = np.full(len(features), float(pixels))

    if task == "regression":
        classes = ()
        y = frame[target].to_numpy(dtype=float)[:, None]
        (y_mean,), (y_scale,) = _scaler(y[train])
        if np.ptp(y[train]) == 0:
            raise ValueError(f"target {target!r} is {y_mean:g} in every training row: there is nothing to learn.")
        y_train, y_test = (_standardised(y[rows], y_mean, y_scale, (target,))[:, 0] for rows in (train, test))
    else:
        codes, labels = pd.factorize(frame[target], sort=True)
        classes, y_mean, y_scale = tuple(map(str, labels)), 0.0, 1.0
        y_train, y_test = (codes[rows].astype(np.int32) for rows in (train, test))

    return Data(
        name=name,
        task=task,
        classes=classes,
        x_train=_standardised(x_train, x_mean, x_scale, features),
        x_test=_standardised(x_test, x_mean, x_scale, features),
        y_train=y_train,
        y_test=y_test,
        features=features,
        target=target,
        unit=unit,
        x_mean=x_mean,
        x_scale=x_scale,
        y_mean=float(y_mean),
        y_scale=float(y_scale),
        split=split,
        columns=columns,
    )


def _column(column: Any) -> Column:
    if is_text(column):
        return Column(column.name, CATEGORY, column.nunique())
    return Column(column.name, YES_NO if ((column == 0) | (column == 1)).all() else NUMBER)


def _numbers(table: Any, categories: list[str]) -> Any:
    """The table with a column for each value of a category."""
    table = pd.get_dummies(table, columns=categories, dtype=float)
    if (twice := table.columns.duplicated()).any():
        name = table.columns[twice][0]
        source = next(c for c in categories if name.startswith(f"{c}_"))
        value = name.removeprefix(f"{source}_")
        raise ValueError(f"the value {value!r} of column {source!r} would be a second column {name!r}: rename one.")
    return table


def _scaler(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; scikit-learn gives a constant or nearly constant column scale 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = StandardScaler().fit(x)
    return np.asarray(scaler.mean_), np.asarray(scaler.scale_)


def _standardised(x: np.ndarray, mean, scale, names: tuple[str, ...]) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        z = x - mean
        z /= scale
        z = z.astype(np.float32)
    not_finite = ~(np.isfinite(z).all(axis=0) & np.isfinite(scale))
    if not_finite.any():
        raise ValueError(f"column {names[not_finite.argmax()]!r} holds numbers too large to standardise: rescale it.")
    return z


def _infer_task(target: Any) -> str:
    quantity = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    if types.is_float_dtype(target) or (quantity and target.nunique() > FEW):
        return "regression"
    return "binary" if target.nunique() <= 2 else "categorical"


def _check_target(target: Any, task: str) -> None:
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if task == "regression":
        if is_text(target):
            raise TypeError(
                f"target {target.name!r} is text: a regression needs numbers, or say task='categorical' "
                "(--task categorical)."
            )
        return
    classes = target.nunique()
    if classes < 2:
        raise ValueError(f"target {target.name!r} has one class only ({str(target.iloc[0])!r}): it needs at least two.")
    if task == "binary" and classes > 2:
        raise ValueError(f"target {target.name!r} has {classes} classes: say task='categorical' (--task categorical).")
