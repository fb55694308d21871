"""Random labels and fewer rows."""

import numpy as np
import pytest
from noisezoo import load
from noisezoo.data.labels import randomise_labels, subset

DIGITS = load("digits")


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_the_share_of_wrong_labels(fraction):
    found = randomise_labels(DIGITS, fraction, seed=1)
    wrong = np.mean(found.y_train != DIGITS.y_train)
    assert abs(wrong - 0.9 * fraction) < 0.04  # four standard errors
    assert found.y_train.dtype == DIGITS.y_train.dtype and found.y_train.max() == 9
    np.testing.assert_array_equal(found.y_test, DIGITS.y_test)
    np.testing.assert_array_equal(found.x_train, DIGITS.x_train)


def test_labels_are_a_function_of_the_seed_and_the_data_are_left_alone():
    before = DIGITS.y_train.copy()
    first, again, other = (randomise_labels(DIGITS, 0.5, seed).y_train for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(DIGITS.y_train, before)


def test_a_subset_keeps_rows_and_labels_together():
    few = subset(DIGITS, 100, seed=3)
    assert few.x_train.shape == (100, 64)
    rows = [int(np.flatnonzero((DIGITS.x_train == x).all(axis=1))[0]) for x in few.x_train]
    assert len(set(rows)) == 100
    np.testing.assert_array_equal(few.y_train, DIGITS.y_train[rows])
    np.testing.assert_array_equal(few.x_test, DIGITS.x_test)


def test_bad_requests_get_one_sentence():
    with pytest.raises(ValueError, match="diabetes is a regression: it has no labels"):
        randomise_labels(load("diabetes"), 0.5)
    with pytest.raises(ValueError, match="must lie between 0 and 1, got 1.5"):
        randomise_labels(DIGITS, 1.5)
    with pytest.raises(ValueError, match="between 1 and the"):
        subset(DIGITS, 10**6)
