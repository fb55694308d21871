"""CIFAR-10: the binary archive in its published layout, and the part of it that has a file of its own."""

import dataclasses
import hashlib
import io
import tarfile

import numpy as np
import pytest
from noisezoo import data
from noisezoo.data import files, sources

TRAIN, TEST = 30, 10  # rows of the archive that the tests make up
FIRST_BATCH = "5dd7e06a14cb22eb9f671a540d1b7c25"  # md5 of the published data_batch_1.bin


def records(images, labels):
    """The binary layout: a label and the red, the green and the blue plane of each image, one byte per number."""
    return np.column_stack([labels, images.reshape(len(images), -1)]).astype(np.uint8).tobytes()


def archive(path, batches):
    """A tarball with these batches, in the folder that the published one has, and something else beside them."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, content in {"batches.meta.txt": b"airplane\n", "readme.html": b"", **batches}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replaced(monkeypatch, name, **facts):
    monkeypatch.setitem(data.CATALOGUE, name, dataclasses.replace(data.CATALOGUE[name], **facts))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A data folder with an archive of a few images; the images (rows, channel, row, column) and their labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (TRAIN + TEST, 3, 32, 32))
    labels = np.arange(TRAIN + TEST) % 10
    parts = np.split(np.arange(TRAIN + TEST), [6, 12, 18, 24, TRAIN])
    batches = {
        name: records(images[rows], labels[rows]) for name, rows in zip(sources.CIFAR_BATCHES, parts, strict=True)
    }
    (tmp_path / "cifar10").mkdir()
    batches = dict(reversed(batches.items()))  # the order in the archive does not matter
    sha256 = archive(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", batches)
    replaced(monkeypatch, "cifar10", rows=TRAIN + TEST, train=TRAIN, files={"cifar-10-binary.tar.gz": sha256})
    monkeypatch.setenv("NOISEZOO_DATA", str(tmp_path))
    monkeypatch.setattr(files, "BESIDE_CHECKOUT", tmp_path / "nowhere")
    return images, labels


def pixels(d, x):
    """Rows of `d` as they are on disk, (rows, channel, row, column) from 0 to 255."""
    return np.round(x * d.x_scale + d.x_mean).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)


def test_the_archive(small):
    images, labels = small
    d = data.load("cifar10")
    np.testing.assert_array_equal(pixels(d, d.x_train), images[:TRAIN])
    np.testing.assert_array_equal(pixels(d, d.x_test), images[TRAIN:])
    np.testing.assert_array_equal(np.concatenate([d.y_train, d.y_test]), labels)
    assert d.classes == sources.CIFAR_CLASSES and d.task == "categorical" and d.target == "object"
    assert d.x_train.dtype == np.float32 and (d.x_scale == 255).all()


def test_the_channel_is_last(small):
    images, _ = small
    d = data.load("cifar10")
    x = d.x_train * d.x_scale + d.x_mean
    for feature, place in {
        "pixel_0_0_green": (1, 0, 0),
        "pixel_2_7_red": (0, 2, 7),
        "pixel_31_30_blue": (2, 31, 30),
    }.items():
        np.testing.assert_allclose(x[:, d.features.index(feature)], images[(slice(TRAIN), *place)], atol=1e-3)


def test_the_subset_comes_from_the_archive_where_it_has_no_file(small, monkeypatch):
    images, _ = small
    replaced(monkeypatch, "cifar10_subset", rows=25, train=20)
    d = data.load("cifar10_subset")
    np.testing.assert_array_equal(pixels(d, d.x_train), images[:20])
    np.testing.assert_array_equal(pixels(d, d.x_test), images[TRAIN : TRAIN + 5])
    assert d.classes == sources.CIFAR_CLASSES


def test_neither_says_what_to_put_where(small, monkeypatch, tmp_path):
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").unlink()
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    replaced(monkeypatch, "cifar10", url="http://127.0.0.1:9/")
    advice = r"save cifar-10-binary.tar.gz from http.* in DIR/cifar10 and set NOISEZOO_DATA=DIR\."
    for name in ("cifar10", "cifar10_subset"):
        with pytest.raises(FileNotFoundError, match=advice):
            data.load(name)


@pytest.fixture(scope="module")
def subset_file(folder):
    path = folder / "cifar10-subset" / "cifar10_subset.npz"
    if not path.is_file():
        pytest.skip("no CIFAR-10 file")
    return path


def test_the_subset(subset_file):
    d, entry = data.load("cifar10_subset"), data.CATALOGUE["cifar10_subset"]
    assert d.x_train.shape == (10_000, 3072) and d.x_test.shape == (1_000, 3072) and entry.shape == (11_000, 3072)
    assert np.bincount(d.y_train).tolist() == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert np.bincount(d.y_test).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    np.testing.assert_allclose(d.x_train.mean(axis=0, dtype=float), 0, atol=1e-5)
    assert [d.classes[i] for i in d.y_train[:5]] == ["frog", "truck", "truck", "deer", "automobile"]
    with np.load(subset_file) as parts:
        np.testing.assert_array_equal(pixels(d, d.x_test), parts["x_test"])
        assert [str(name) for name in parts["class_names"]] == list(d.classes)


def test_the_published_first_batch(subset_file, small, monkeypatch, tmp_path):
    """The subset's training images in the binary layout are the published batch, and the reader gives them back."""
    with np.load(subset_file) as parts:
        images, labels = parts["x_train"], parts["y_train"]
    first = records(images, labels)
    assert hashlib.md5(first).hexdigest() == FIRST_BATCH
    few = 200  # as many as it takes
    batches = dict.fromkeys(sources.CIFAR_BATCHES, b"") | {"data_batch_1.bin": first[: few * 3073]}
    sha256 = archive(tmp_path / "cifar10" / "cifar-10-binary.tar.gz", batches)
    replaced(monkeypatch, "cifar10", rows=few, train=few, files={"cifar-10-binary.tar.gz": sha256})
    frame = sources.read("cifar10")
    np.testing.assert_array_equal(frame["object"].cat.codes, labels[:few])
    np.testing.assert_array_equal(frame["pixel_3_4_green"], images[:few, 1, 3, 4])


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar10_subset"])
def test_a_set_with_its_own_split_has_one(name):
    with pytest.raises(ValueError, match=f"'{name}' has one split, 0; there is no split 1"):
        data.load(name, 1)
    with pytest.raises(ValueError, match=f"'{name}' has its own training and test rows: leave the seed out"):
        data.load(name, 0, 3)
