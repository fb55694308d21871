"""A pandas table in, standardised arrays out: `Data`, `from_frame`, and the checks that a table must pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.preprocessing import StandardScaler

from ..errors import unknown
from . import splits

TASKS = ("regression", "binary", "categorical")
MIN_ROWS = 10
MAX_CLASSES = 20  # a target of more whole numbers than this is a quantity, not a label


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
    split: int = 0,
    name: str = "table",
    unit: str = "",
) -> Data:
    """A user's own table as `Data`.

    Text and categorical feature columns become one column per value (``pandas.get_dummies``).  Without a `task`, a
    target of floats or of more than 20 distinct numbers is a regression, any other a classification.  The split is
    scikit-learn's shuffle split number `split` (0 to 19) of the series `seed`, stratified by class.

    Raises
    ------
    ValueError, TypeError
        One sentence that names the column: unknown or constant target, one class only, NaN or infinite values, text
        among numbers, a dtype that is neither numbers nor text, too few rows.
    """
    target = str(target)
    frame = _checked(frame, target)
    splits.check(name, split, splits.SPLITS)
    column = frame[target]
    task = task or _infer_task(column)
    _check_target(column, task)
    train, test = splits.shuffled(column, task != "regression", test_fraction, seed, split)
    return arrays(frame, target, task, train, test, name=name, unit=unit, split=split)


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
    table = pd.get_dummies(table, columns=[c for c in table if _is_text(table[c])], dtype=float)
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
    )


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


def _checked(frame: Any, target: str) -> Any:
    """The table with its column names as text, or the first thing that is wrong with it."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"from_frame takes a pandas DataFrame, not {type(frame).__name__}: wrap it in pd.DataFrame.")
    frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        raise ValueError(f"column {frame.columns[frame.columns.duplicated()][0]!r} occurs twice: rename one of them.")
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
    return frame


def _check_column(column: Any) -> None:
    name = column.name
    if missing := int(column.isna().sum()):
        raise ValueError(
            f"column {name!r} is missing (NaN) in {missing} of {len(column)} rows: fill it in or drop them."
        )
    if _is_text(column):
        _check_text(column)
    elif not types.is_numeric_dtype(column) or types.is_complex_dtype(column):
        raise TypeError(f"column {name!r} has dtype {column.dtype}, neither real numbers nor text: convert or drop it.")
    elif infinite := int(np.isinf(column.to_numpy(dtype=float)).sum()):
        raise ValueError(f"column {name!r} is infinite in {infinite} of {len(column)} rows: replace it or drop them.")


def _check_text(column: Any) -> None:
    """Many different values that are mostly numbers are not categories: something is written among them ('?', '-')."""
    number = pd.Series(pd.to_numeric(column.astype(str), errors="coerce"), column.index).notna()
    if column.nunique() > MAX_CLASSES and 0.5 < number.mean() < 1:
        stray = column[~number].iloc[0]
        raise ValueError(f"column {column.name!r} has text ({stray!r}) among its numbers: replace it or drop the rows.")


def _is_text(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) or types.is_string_dtype(column)


def _infer_task(target: Any) -> str:
    quantity = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    if types.is_float_dtype(target) or (quantity and target.nunique() > MAX_CLASSES):
        return "regression"
    return "binary" if target.nunique() <= 2 else "categorical"


def _check_target(target: Any, task: str) -> None:
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if task == "regression":
        if _is_text(target):
            raise TypeError(f"target {target.name!r} is text: a regression needs numbers, or say task='categorical'.")
        return
    classes = target.nunique()
    if classes < 2:
        raise ValueError(f"target {target.name!r} has one class only ({str(target.iloc[0])!r}): it needs at least two.")
    if task == "binary" and classes > 2:
        raise ValueError(f"target {target.name!r} has {classes} classes: say task='categorical'.")
