"""The raw tables: one reader per origin, each giving a pandas table in the catalogue's columns and order."""

import gzip
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from .catalogue import CATALOGUE, IMDB_NUMBERS
from .entry import Entry
from .files import find, local_file

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")  # the training rows first
CIFAR_SHAPE = (3, 32, 32)  # of an image: channel, row, column
IMDB_TEXT = re.compile(r"aclImdb/(?P<part>train|test)/(?P<label>neg|pos)/(?P<id>\d+)_\d+\.txt")
IMDB_NO_WORD = dict.fromkeys(map(ord, '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'), " ")  # between words, as in Keras


def read(name: str) -> pd.DataFrame:
    """All rows of the catalogued data set `name`; the target, in its own units, is the last column."""
    entry = CATALOGUE[name]
    return READERS[entry.origin](name, entry)


def _read_embedded(name: str, entry: Entry) -> pd.DataFrame:
    bunch: Any
    if name == "diabetes":
        bunch = datasets.load_diabetes(scaled=False)  # in the units of the patients, not scikit-learn's scaled columns
        target = bunch.target
    elif name == "breast_cancer":
        bunch = datasets.load_breast_cancer()
        target = pd.Categorical.from_codes(bunch.target, bunch.target_names)
    else:
        bunch = datasets.load_digits()
        target = bunch.target
    return _table(bunch.data, target, entry)


def _read_uci(name: str, entry: Entry) -> pd.DataFrame:
    values = np.loadtxt(find(entry, "data.txt"))
    return _table(values[:, :-1], values[:, -1], entry)


def _read_mnist(name: str, entry: Entry) -> pd.DataFrame:
    paths = {file: find(entry, file) for file in entry.files}
    images = [_idx(paths[f"{part}-images-idx3-ubyte.gz"], 16).reshape(-1, 784) for part in ("train", "t10k")]
    labels = [_idx(paths[f"{part}-labels-idx1-ubyte.gz"], 8) for part in ("train", "t10k")]
    return _table(np.concatenate(images), np.concatenate(labels), entry)


def _idx(path: Path, header: int) -> np.ndarray:
    """The bytes of an idx file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def _read_cifar10(name: str, entry: Entry) -> pd.DataFrame:
    images, labels = _cifar10(entry)
    return _table(images, pd.Categorical.from_codes(labels, CIFAR_CLASSES), entry)


def _read_cifar10_subset(name: str, entry: Entry) -> pd.DataFrame:
    """From the file that holds it, else the same rows of the whole data set."""
    if path := local_file(entry, "cifar10_subset.npz"):
        with np.load(path) as parts:
            images = _channel_last(np.concatenate([parts["x_train"], parts["x_test"]]))
            labels = np.concatenate([parts["y_train"], parts["y_test"]])
    else:
        cifar10 = CATALOGUE["cifar10"]
        images, labels = _cifar10(cifar10)
        rows = np.r_[: entry.train, cifar10.train : cifar10.train + entry.rows - entry.train]
        images, labels = images[rows], labels[rows]
    return _table(images, pd.Categorical.from_codes(labels, CIFAR_CLASSES), entry)


def _cifar10(entry: Entry) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of the binary archive: records of a label and an image, one byte per number."""
    with tarfile.open(find(entry, "cifar-10-binary.tar.gz")) as archive:
        members = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
        batches: list[Any] = [archive.extractfile(members[batch]) for batch in CIFAR_BATCHES]
        records = np.concatenate([np.frombuffer(batch.read(), np.uint8) for batch in batches])
    records = records.reshape(-1, 1 + np.prod(CIFAR_SHAPE))
    return _channel_last(records[:, 1:].reshape(-1, *CIFAR_SHAPE)), records[:, 0]


def _channel_last(images: np.ndarray) -> np.ndarray:
    """Images (rows, channel, row, column) as rows of (row, column, channel)."""
    return images.transpose(0, 2, 3, 1).reshape(len(images), -1)


def _read_year(name: str, entry: Entry) -> pd.DataFrame:
    """The zipped text, the year first; raises ValueError for another number of rows or columns."""
    path = find(entry, *entry.files)
    try:
        table = pd.read_csv(path, header=None, dtype=np.float32)
    except (ValueError, zipfile.BadZipFile):
        raise ValueError(f"{path} is not the published file: replace or remove it.") from None
    if table.shape != (entry.rows, len(entry.features) + 1):
        raise ValueError(f"{path} has {table.shape[0]} rows of {table.shape[1]} numbers, not the published file's.")
    values = table.to_numpy()
    return _table(values[:, 1:], values[:, 0], entry)


def _read_imdb(name: str, entry: Entry) -> pd.DataFrame:
    """From the file of word numbers if it is there, else from the texts."""
    if path := local_file(replace(entry, files=IMDB_NUMBERS), *IMDB_NUMBERS):
        with np.load(path) as parts:
            numbers = [(parts[f"{p}_tokens"], parts[f"{p}_offsets"]) for p in ("train", "test")]
            labels = np.concatenate([parts["train_label"], parts["test_label"]])
    else:
        numbers, labels = _imdb_texts(find(entry, *entry.files))
    x = np.concatenate([_occurs(tokens, offsets, len(entry.features)) for tokens, offsets in numbers])
    return _table(x, pd.Categorical.from_codes(labels, ("negative", "positive")), entry)


def _imdb_texts(archive: Path) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Word numbers and offsets of the training and test reviews, and all labels.

    A word's number is its rank in the training reviews, 1 the most frequent, as in Keras (up to ties); 0 is unknown.
    """
    texts: dict[str, dict[tuple[int, int], list[str]]] = {"train": {}, "test": {}}
    with tarfile.open(archive) as tar:
        for member in tar:
            if place := IMDB_TEXT.fullmatch(member.name):
                file: Any = tar.extractfile(member)
                words = file.read().decode().lower().translate(IMDB_NO_WORD).split()
                texts[place["part"]][int(place["label"] == "pos"), int(place["id"])] = words
    parts = [_shuffled(texts[part], seed) for seed, part in enumerate(("train", "test"))]
    ranked = Counter(word for words in parts[0].values() for word in words).most_common()
    number = {word: rank for rank, (word, _) in enumerate(ranked, start=1)}
    numbers = [np.array([number.get(word, 0) for words in part.values() for word in words]) for part in parts]
    offsets = [np.cumsum([0, *map(len, part.values())]) for part in parts]
    return list(zip(numbers, offsets, strict=True)), np.array([label for part in parts for label, _ in part])


def _shuffled(texts: dict, seed: int) -> dict:
    """The texts in a random order that is always the same: in the archive all of one label come first."""
    keys = sorted(texts)
    return {keys[i]: texts[keys[i]] for i in np.random.RandomState(seed).permutation(len(keys))}


def _occurs(tokens: np.ndarray, offsets: np.ndarray, words: int) -> np.ndarray:
    """Whether each of the words 1 .. `words` occurs in each text (texts, words), one byte each."""
    occurs = np.zeros((len(offsets) - 1, words), np.uint8)
    rows = np.repeat(np.arange(len(occurs)), np.diff(offsets))
    in_vocabulary = (tokens >= 1) & (tokens <= words)
    occurs[rows[in_vocabulary], tokens[in_vocabulary].astype(int) - 1] = 1
    return occurs


def _table(x: np.ndarray, y, entry: Entry) -> pd.DataFrame:
    return pd.DataFrame(x, columns=list(entry.features)).assign(**{entry.target: y})


READERS: dict[str, Callable[[str, Entry], pd.DataFrame]] = {
    "scikit-learn": _read_embedded,
    "uci": _read_uci,
    "mnist": _read_mnist,
    "cifar10": _read_cifar10,
    "cifar10_subset": _read_cifar10_subset,
    "year": _read_year,
    "imdb": _read_imdb,
}
