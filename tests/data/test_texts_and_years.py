"""IMDB from its texts and from word numbers, and the Million Songs' years: small files in the published layout."""

import dataclasses
import hashlib
import io
import tarfile
import zipfile

import numpy as np
import pytest
from noisezoo import data
from noisezoo.data import catalogue, files, sources

TEXTS = {
    "train/neg/0_3": "Bad, <br />BAD film!  It's bad.",
    "train/neg/1_1": "a bad\tfilm; a",
    "train/pos/0_9": 'A "film" it\'s film',
    "test/pos/3_10": "film: unseen words. it's",
    "test/neg/7_2": "Unknown",
}
RANKS = ["film", "bad", "a", "it's", "br"]  # in the training texts: 4, 4, 3, 2 and 1 times


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A data folder with nothing in it."""
    monkeypatch.setenv("NOISEZOO_DATA", str(tmp_path))
    monkeypatch.setattr(files, "BESIDE_CHECKOUT", tmp_path / "nowhere")
    return tmp_path


def replaced(monkeypatch, name, **facts):
    monkeypatch.setitem(data.CATALOGUE, name, dataclasses.replace(data.CATALOGUE[name], **facts))


@pytest.fixture
def reviews(monkeypatch, empty):
    """The archive with the few TEXTS, and other files beside them."""
    (empty / "imdb").mkdir()
    path = empty / "imdb" / "aclImdb_v1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in {**TEXTS, "train/unsup/0_0": "film film", "imdbEr": "x"}.items():
            member = tarfile.TarInfo(f"aclImdb/{name}.txt")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    words = dict.fromkeys((f"word_{i}" for i in range(1, 6)), "")
    replaced(monkeypatch, "imdb", rows=5, train=3, features=words, files={path.name: sha256})


def test_texts(reviews):
    frame = sources.read("imdb")
    expected = {  # rows by label and file name, words by RANKS
        "negative": [[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]],
        "positive": [[1, 0, 1, 1, 0]],
    }
    found = frame.iloc[:3]
    for label, rows in expected.items():
        mine = found.loc[found["review"] == label].drop(columns="review").to_numpy()
        assert sorted(mine[:, 2:].tolist()) == sorted(row[2:] for row in rows)
        assert sorted(mine[:, :2].sum(1)) == sorted(sum(row[:2]) for row in rows)  # two words tie
    assert sorted(frame["review"].iloc[:3]) == ["negative", "negative", "positive"]
    test = frame.iloc[3:].set_index("review")
    assert test.loc["negative"].tolist() == [0, 0, 0, 0, 0]  # a word that no training text has
    assert test.loc["positive"].iloc[3] == 1 and test.loc["positive"].iloc[:2].sum() == 1


def test_the_order_of_texts_is_that_of_the_word_numbers(reviews):
    """Sorted by label and number, then permuted by the generator of seed 0: labels are mixed, the same ones always."""
    order = np.random.RandomState(0).permutation(3)
    labels = [["negative", "negative", "positive"][i] for i in order]
    assert sources.read("imdb")["review"].iloc[:3].tolist() == labels


def test_reviews_as_arrays(reviews):
    d = data.load("imdb")
    assert (d.task, d.classes) == ("binary", ("negative", "positive"))
    assert (d.x_scale == 1).all() and sorted(d.y_train.tolist()) == [0, 0, 1]
    np.testing.assert_allclose(np.sort(d.x_train[:, 4]), [-1 / 3, -1 / 3, 2 / 3], atol=1e-6)


def test_the_real_reviews(folder):
    if not (folder / "imdb" / "imdb_sequences.npz").is_file():
        pytest.skip("no IMDB file")
    frame = sources.read("imdb")
    assert frame.shape == (50_000, 5001)
    counts = frame["review"].iloc[:25_000].value_counts()
    assert counts.to_dict() == {"negative": 12_500, "positive": 12_500}
    often = frame.iloc[:25_000, :5000].to_numpy().mean(0)
    assert often[0] > 0.99 and often[6] > 0.5 and often[-1] < 0.01  # "the", "br", and a rare word


def test_without_the_reviews_it_says_what_to_put_where(empty, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda project: empty / "cache" / project)
    replaced(monkeypatch, "imdb", url="http://127.0.0.1:9/")
    with pytest.raises(FileNotFoundError, match=r"save aclImdb_v1.tar.gz from http.* in DIR/imdb and set"):
        data.load("imdb")
    assert catalogue.IMDB_NUMBERS.keys() == {"imdb_sequences.npz"}


def songs(folder, rows, columns):
    values = np.arange(rows * columns, dtype=float).reshape(rows, columns) % 97
    values[:, 0] += 1922
    text = "\n".join(",".join(f"{v:.2f}" for v in row) for row in values)
    (folder / "uci" / "year").mkdir(parents=True)
    with zipfile.ZipFile(folder / "uci" / "year" / "YearPredictionMSD.txt.zip", "w") as archive:
        archive.writestr("YearPredictionMSD.txt", text)
    return values


def test_years(empty, monkeypatch):
    values = songs(empty, 30, 91)
    replaced(monkeypatch, "year", rows=30, train=20)
    d = data.load("year")
    assert d.x_train.shape == (20, 90) and d.x_test.shape == (10, 90) and d.unit == "years"
    np.testing.assert_allclose(d.original(d.y_test.astype(float)), values[20:, 0], atol=1e-3)
    np.testing.assert_allclose(d.x_test[:, 3] * d.x_scale[3] + d.x_mean[3], values[20:, 4], atol=1e-3)


def test_a_broken_file_of_years(empty):
    (empty / "uci" / "year").mkdir(parents=True)
    (empty / "uci" / "year" / "YearPredictionMSD.txt.zip").write_bytes(b"PK half of it")
    with pytest.raises(ValueError, match=r"YearPredictionMSD.txt.zip is not the published file"):
        data.load("year")


def test_years_of_another_shape(empty):
    songs(empty, 30, 91)
    with pytest.raises(ValueError, match="has 30 rows of 91 numbers, not the published file's"):
        data.load("year")
