"""Every catalogued data set loads as documented: shapes, published means and deviations, standard splits."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from noisezoo import data
from noisezoo.data import splits
from sklearn import datasets

EMBEDDED = ["diabetes", "breast_cancer", "digits"]
# folder: train/test rows of each split, mean and standard deviation (ddof 0) of the target, its range
UCI = {
    "boston": ("bostonHousing", 455, 51, 22.5328, 9.18801, 5, 50),
    "concrete": ("concrete", 927, 103, 35.8180, 16.6976, 2.33, 82.6),
    "energy": ("energy", 691, 77, 22.3072, 10.0836, 6.01, 43.1),
    "kin8nm": ("kin8nm", 7373, 819, 0.714283, 0.263591, 0.0401654, 1.45852),
    "power": ("power-plant", 8611, 957, 454.365, 17.0661, 420.26, 495.76),
    "wine": ("wine-quality-red", 1439, 160, 5.63602, 0.807317, 3, 8),
    "yacht": ("yacht", 277, 31, 10.4954, 15.1359, 0.01, 62.42),
}


def all_targets(d):
    return d.original(np.concatenate([d.y_train, d.y_test]).astype(float))


def test_the_catalogue_names_them_all():
    assert set(data.CATALOGUE) == {*EMBEDDED, *UCI, "mnist", "cifar10", "cifar10_subset", "imdb", "year"}


def test_importing_is_light():
    heavy = "{'numpy', 'pandas', 'sklearn', 'pooch', 'jax'}"
    code = f"import sys, noisezoo.data as d; d.CATALOGUE; print(*(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        data.laod  # noqa: B018


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded(name):
    entry = data.CATALOGUE[name]
    d = data.load(name)
    assert len(d.x_train) + len(d.x_test) == entry.rows
    assert len(d.x_test) == -(-entry.rows // 10)  # a tenth, rounded up
    check_consistent(d, entry)


def check_consistent(d, entry):
    assert d.task == entry.task
    assert d.features == tuple(entry.features) and d.x_train.shape[1] == d.x_test.shape[1] == entry.shape[1]
    assert (d.target, d.unit) == (entry.target, entry.unit)
    assert d.x_train.dtype == d.x_test.dtype == np.float32
    assert d.y_train.dtype == d.y_test.dtype == (np.float32 if entry.task == "regression" else np.int32)
    np.testing.assert_allclose(d.x_train.mean(axis=0, dtype=float), 0, atol=1e-5)
    if not entry.pixels:
        np.testing.assert_allclose(d.x_train.std(axis=0, dtype=float), 1, atol=1e-5)
    if entry.task == "regression":
        np.testing.assert_allclose([d.y_train.mean(dtype=float), d.y_train.std(dtype=float)], [0, 1], atol=1e-5)


def test_diabetes_is_in_the_units_of_the_patients():
    d = data.load("diabetes")
    age = np.concatenate([d.x_train, d.x_test])[:, 0] * d.x_scale[0] + d.x_mean[0]
    np.testing.assert_allclose([age.min(), age.max()], [19, 79], atol=1e-4)
    _, y = datasets.load_diabetes(return_X_y=True)
    np.testing.assert_allclose(np.sort(all_targets(d)), np.sort(y), atol=1e-3)


def test_breast_cancer_keeps_the_class_numbers_and_names():
    d = data.load("breast_cancer")
    bunch: Any = datasets.load_breast_cancer()
    assert d.classes == ("malignant", "benign")
    np.testing.assert_array_equal(np.bincount(all_targets(d).astype(int)), [212, 357])
    assert d.features == tuple(bunch.feature_names)


def test_digits_are_divided_by_the_largest_pixel():
    d = data.load("digits")
    x = np.concatenate([d.x_train, d.x_test]) * d.x_scale + d.x_mean
    y = np.concatenate([d.y_train, d.y_test])
    bunch: Any = datasets.load_digits()
    order, published = np.lexsort([*x.round().T, y]), np.lexsort([*bunch.data.T, bunch.target])
    np.testing.assert_allclose(x[order], bunch.data[published], atol=1e-5)
    np.testing.assert_array_equal(y[order], bunch.target[published])
    assert d.classes == tuple("0123456789")
    assert (d.x_scale == 16).all() and (d.x_train[:, 0] == 0).all()  # the corner is empty in every image


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_classes_are_stratified(name):
    d = data.load(name)
    train, test = np.bincount(d.y_train) / len(d.y_train), np.bincount(d.y_test) / len(d.y_test)
    np.testing.assert_allclose(train, test, atol=1.5 / len(d.y_test))


def test_split_and_seed_choose_the_rows():
    first, again, second, other = (data.load("diabetes", *a) for a in [(0,), (0, 0), (1,), (0, 5)])
    np.testing.assert_array_equal(first.x_test, again.x_test)
    assert not np.array_equal(first.y_test, second.y_test)
    assert not np.array_equal(first.y_test, other.y_test)
    assert (first.split, second.split) == (0, 1)


@pytest.mark.parametrize("name", UCI)
def test_uci(name, folder):
    source, train, test, mean, std, low, high = UCI[name]
    d = data.load(name)
    check_consistent(d, data.CATALOGUE[name])
    assert (len(d.y_train), len(d.y_test)) == (train, test)
    assert data.CATALOGUE[name].rows == train + test
    y = all_targets(d)
    np.testing.assert_allclose([y.mean(), y.std(), y.min(), y.max()], [mean, std, low, high], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", UCI)
def test_uci_columns_are_those_of_the_index_files(name, folder):
    source = folder / "uci" / UCI[name][0]
    if not (source / "index_target.txt").is_file():
        pytest.skip("no index files beside data.txt")
    columns = len(data.CATALOGUE[name].features)
    assert int(np.loadtxt(source / "index_target.txt")) == columns
    np.testing.assert_array_equal(np.loadtxt(source / "index_features.txt"), range(columns))


@pytest.mark.parametrize("name", UCI)
def test_the_20_standard_splits_are_the_published_index_files(name, folder):
    source = folder / "uci" / UCI[name][0]
    if not (source / "n_splits.txt").is_file():
        pytest.skip("no index files beside data.txt")
    assert int(np.loadtxt(source / "n_splits.txt")) == data.CATALOGUE[name].splits == 20
    for k in range(20):
        train, test = splits.standard(data.CATALOGUE[name].rows, k)
        np.testing.assert_array_equal(train, np.loadtxt(source / f"index_train_{k}.txt"))
        np.testing.assert_array_equal(test, np.loadtxt(source / f"index_test_{k}.txt"))


def test_standard_split_without_any_file():
    train, test = splits.standard(308, 19)
    assert len(train) == 277
    assert train[:5].tolist() == [122, 18, 305, 94, 132]  # the head of yacht's index_train_19.txt
    assert sorted([*train, *test]) == list(range(308))


@pytest.mark.parametrize("split", [0, 7])
def test_loaded_rows_are_those_of_the_split(folder, split):
    raw = np.loadtxt(folder / "uci" / "yacht" / "data.txt")
    train, test = splits.standard(308, split)
    d = data.load("yacht", split)
    for rows, x, y in [(train, d.x_train, d.y_train), (test, d.x_test, d.y_test)]:
        np.testing.assert_allclose(x * d.x_scale + d.x_mean, raw[rows, :-1], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(d.original(y.astype(float)), raw[rows, -1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(d.x_mean, raw[train, :-1].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose([d.y_mean, d.y_scale], [raw[train, -1].mean(), raw[train, -1].std()], rtol=1e-12)


def test_mnist(folder):
    if not (folder / "mnist").is_dir():
        pytest.skip("no MNIST files")
    d = data.load("mnist")
    assert d.x_train.shape == (60_000, 784) and d.x_test.shape == (10_000, 784) and d.x_train.dtype == np.float32
    assert np.bincount(d.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(d.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = d.x_train + (d.x_mean / 255).astype(np.float32)  # in [0, 1]
    np.testing.assert_allclose([pixels.mean(dtype=float), pixels.std(dtype=float)], [0.130660, 0.308108], atol=1e-6)
    assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6
    assert d.y_train[:5].tolist() == [5, 0, 4, 1, 9]  # the first images of the original order


@pytest.mark.parametrize("split", [-1, 20, 0.5, "first"])
def test_split_out_of_range(split):
    with pytest.raises(ValueError, match="'diabetes' has splits 0 to 19; there is no split"):
        data.load("diabetes", split)


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="unknown data set 'yaht'; did you mean 'yacht'"):
        data.load("yaht")


def test_a_table_is_not_a_name():
    with pytest.raises(TypeError, match="not list .*from_frame"):
        data.load([1.0])  # pyright: ignore[reportArgumentType]
