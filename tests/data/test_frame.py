"""A user's own table: standardisation there and back, one-hot columns, the task it is, and one sentence per mistake."""

import sys

import numpy as np
import pandas as pd
import pytest
from noisezoo import data


def table(rows=40, **columns):
    """A small good table, with some columns replaced or added."""
    random = np.random.default_rng(0)
    good = {"a": random.normal(3, 2, rows), "b": random.normal(-1, 0.1, rows), "y": random.normal(10, 5, rows)}
    return pd.DataFrame(good | columns)


def rows_of(d, x, y):
    """Rows of `d` in their original units, features and target side by side, sorted."""
    both = np.column_stack([x * d.x_scale + d.x_mean, d.original(y.astype(float))])
    return both[np.lexsort(both.T)]


def test_standardised_there_and_back():
    frame = table()
    d = data.from_frame(frame, "y")
    assert (d.task, d.classes, d.features, d.name) == ("regression", (), ("a", "b"), "table")
    assert d.x_train.shape == (36, 2) and d.x_test.shape == (4, 2)
    x, y = np.concatenate([d.x_train, d.x_test]), np.concatenate([d.y_train, d.y_test])
    published = frame.to_numpy()
    np.testing.assert_allclose(rows_of(d, x, y), published[np.lexsort(published.T)], rtol=1e-6)
    np.testing.assert_allclose(d.x_train.std(axis=0), 1, rtol=1e-6)
    assert abs(d.x_test.mean()) > 1e-3  # the test rows had no part in it


def test_original_keeps_the_shape_of_a_prediction():
    d = data.from_frame(table(), "y")
    draws = np.ones((4, 10, 3))
    np.testing.assert_allclose(d.original(draws), np.full((4, 10, 3), d.y_mean + d.y_scale))


def test_constant_and_nearly_constant_columns_do_not_divide_by_zero():
    nearly = 1e8 + np.arange(40) * 1e-9  # differs from a constant by rounding only
    d = data.from_frame(table(constant=7, nearly=nearly), "y")
    assert d.x_scale[2:].tolist() == [1, 1]
    np.testing.assert_allclose(d.x_train[:, 2:], 0, atol=1e-6)
    assert d.x_mean[2] == 7


def test_large_offset_survives_single_precision():
    d = data.from_frame(table(year=1e9 + np.arange(40.0)), "y")
    back = np.sort(np.concatenate([d.x_train, d.x_test])[:, 2].astype(float) * d.x_scale[2] + d.x_mean[2])
    np.testing.assert_allclose(back - 1e9, np.arange(40), atol=1e-4)


def test_text_becomes_one_column_per_value_and_bool_a_number():
    frame = table(colour=["red", "blue"] * 20, kind=pd.Categorical(list("uvwx") * 10), old=[True, False] * 20)
    d = data.from_frame(frame, "y")
    assert set(d.features) == {"a", "b", "old", "colour_blue", "colour_red", "kind_u", "kind_v", "kind_w", "kind_x"}
    red, blue = (d.features.index(f"colour_{c}") for c in ("red", "blue"))
    np.testing.assert_allclose(d.x_train[:, red], -d.x_train[:, blue], atol=1e-6)


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (np.arange(40) / 7, "regression", ()),
        (np.arange(40), "regression", ()),
        (np.arange(40) % 20, "categorical", tuple(map(str, range(20)))),
        (np.arange(40) % 2, "binary", ("0", "1")),
        ([True, False] * 20, "binary", ("False", "True")),
        (["yes", "no"] * 20, "binary", ("no", "yes")),
        (pd.Categorical(["yes", "no"] * 20, ["yes", "no", "never"]), "binary", ("yes", "no")),
        (list("abcd") * 10, "categorical", tuple("abcd")),
    ],
)
def test_the_task_follows_from_the_target(y, task, classes):
    d = data.from_frame(table(y=y), "y", test_fraction=0.5)
    assert (d.task, d.classes) == (task, classes)
    if classes:
        assert (d.y_mean, d.y_scale) == (0, 1) and d.y_train.dtype == np.int32
        assert set(d.y_train) == set(d.y_test) == set(range(len(classes)))


def test_labels_keep_their_rows():
    frame = table(y=["yes", "no"] * 20)
    d = data.from_frame(frame, "y")
    yes = frame.loc[frame["y"] == "yes", "a"].to_numpy()
    ours = np.concatenate([d.x_train[d.y_train == 1], d.x_test[d.y_test == 1]])[:, 0] * d.x_scale[0] + d.x_mean[0]
    np.testing.assert_allclose(np.sort(ours), np.sort(yes), rtol=1e-5)


def test_a_task_that_is_asked_for():
    whole = np.arange(40) % 6
    assert data.from_frame(table(y=whole), "y", "regression").task == "regression"
    halves = data.from_frame(table(y=whole / 2), "y", "categorical", test_fraction=0.5)
    assert halves.classes == ("0.0", "0.5", "1.0", "1.5", "2.0", "2.5")


def test_column_names_that_are_numbers():
    d = data.from_frame(pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3))), "2")
    assert (d.features, d.target) == (("0", "1"), "2")


def put(column, value):
    frame = table()
    frame.loc[3, column] = value
    return frame


MISTAKES = {
    "nan": (lambda: put("a", np.nan), {}, "column 'a' is missing \\(NaN\\) in 1 of 40 rows"),
    "nan in the target": (lambda: put("y", np.nan), {}, "column 'y' is missing \\(NaN\\) in 1 of 40 rows"),
    "inf": (lambda: put("b", -np.inf), {}, "column 'b' is infinite in 1 of 40 rows"),
    "inf in the target": (lambda: put("y", np.inf), {}, "column 'y' is infinite in 1 of 40 rows"),
    "no rows": (lambda: table(0), {}, "the table is empty"),
    "no columns": (pd.DataFrame, {}, "the table is empty"),
    "only a target": (lambda: table()[["y"]], {}, "no column besides its target 'y'"),
    "too few rows": (lambda: table(9), {}, "the table has 9 rows, too few"),
    "unknown target": (table, {"target": "yy"}, "unknown target column 'yy'; did you mean 'y'.* Known: a, b, y"),
    "constant target": (lambda: table(y=3.5), {}, "target 'y' is 3.5 in every training row"),
    "one class": (lambda: table(y="cat"), {}, r"target 'y' has one class only \('cat'\)"),
    "a class of one row": (lambda: table(y=["x"] + ["u", "v"] * 19 + ["u"]), {}, "class 'x' of 'y' has one row"),
    "more classes than test rows": (lambda: table(y=list("abcdefgh") * 5), {}, "4 test rows of 40 cannot hold"),
    "binary with three classes": (lambda: table(39, y=list("abc") * 13), {"task": "binary"}, "'y' has 3 classes"),
    "unknown task": (table, {"task": "regresion"}, "unknown task 'regresion'; did you mean 'regression'"),
    "test fraction": (table, {"test_fraction": 1.5}, "test_fraction is 1.5"),
    "split": (table, {"split": 20}, "'table' has splits 0 to 19; there is no split 20"),
    "twice": (lambda: pd.concat([table(), table()[["a"]]], axis=1), {}, "column 'a' occurs twice"),
    "text among numbers": (lambda: table(hp=["?", *map(str, range(39))]), {}, r"column 'hp' has text \('\?'\) among"),
    "too large": (lambda: table(a=np.arange(40) * 1e300), {}, "column 'a' holds numbers too large"),
    "too large a target": (lambda: table(y=np.arange(40) * 1e300), {}, "column 'y' holds numbers too large"),
    "too large in a test row": (lambda: far_test_row(), {}, "column 'a' holds numbers too large"),
}


def far_test_row():
    """A column that is constant but for one test row."""
    y = np.arange(40.0)
    test = data.from_frame(table(y=y), "y")
    return table(y=y, a=np.where(y == np.round(test.original(test.y_test[0])), 1e100, 0))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_gets_one_sentence(mistake):
    make, settings, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message) as caught:
        data.from_frame(make(), **{"target": "y"} | settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("when", pd.date_range("2020", periods=40)),
        ("how_long", pd.to_timedelta(np.arange(40), unit="s")),
        ("z", np.arange(40) * 1j),
        ("mixed", [1, "a"] * 20),
    ],
)
def test_wrong_dtype(column, values):
    with pytest.raises(TypeError, match=f"column '{column}' has dtype .* neither real numbers nor text"):
        data.from_frame(table(**{column: values}), "y")


def test_text_target_of_a_regression():
    with pytest.raises(TypeError, match="target 'y' is text"):
        data.from_frame(table(y=["u", "v"] * 20), "y", "regression")


def test_not_a_frame():
    with pytest.raises(TypeError, match="takes a pandas DataFrame, not ndarray"):
        data.from_frame(np.ones((20, 3)), "y")  # pyright: ignore[reportArgumentType]


def test_csv_file(tmp_path):
    path = tmp_path / "mine.csv"
    table().to_csv(path, index=False)
    d = data.load(f"{path}:y", split=2)
    same = data.from_frame(table(), "y", split=2)
    assert (d.name, d.target, d.split) == ("mine", "y", 2)
    np.testing.assert_allclose(d.x_test, same.x_test, rtol=1e-6)
    np.testing.assert_allclose(d.y_test, same.y_test, rtol=1e-6)


def test_csv_mistakes(tmp_path):
    path = tmp_path / "mine.csv"
    with pytest.raises(FileNotFoundError, match="there is no table .*mine.csv"):
        data.load(f"{path}:y")
    path.write_text("")
    with pytest.raises(ValueError, match="mine.csv is empty"):
        data.load(f"{path}:y")
    path.write_text("a,y\n")
    with pytest.raises(ValueError, match="the table is empty"):
        data.load(f"{path}:y")
    path.write_text('a,y\n"1,2\n')
    with pytest.raises(ValueError, match=r"mine.csv is not a readable csv table \(ParserError\)"):
        data.load(f"{path}:y")
    with pytest.raises(ValueError, match="say which column of .*mine.csv is the target"):
        data.load(str(path))
    table().to_csv(path, index=False)
    with pytest.raises(ValueError, match="unknown target column 'Y'"):
        data.load(f"{path}:Y")


def test_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "mine.parquet"
    table().to_parquet(path)
    d = data.load(f"{path}:y")
    np.testing.assert_array_equal(d.x_test, data.from_frame(table(), "y").x_test)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    for engine in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, engine, None)
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(ImportError, match="needs pyarrow: pip install pyarrow"):
        data.load(f"{path}:y")


def test_unknown_name_among_very_many_shows_twenty():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 50))).rename(columns=lambda i: f"column{i}")
    with pytest.raises(ValueError, match=r"did you mean 'column\d+'.*column19, \.\.\. \(50 in all\)$"):
        data.from_frame(frame, "colum7")
