import pytest
from noisezoo.data.published import published


def test_the_tables_of_kharitonov_et_al():
    table = published("sparsity").query("source == 'kharitonov2018' and table == 1")
    assert table.set_index(["network", "prior"])["compression"].to_dict() == {
        ("lenet5", "sparse_vd"): 136,
        ("lenet5", "empirical_bayes"): 132,
        ("vgg", "sparse_vd"): 38,
        ("vgg", "empirical_bayes"): 34,
    }


def test_the_table_of_nalisnick_et_al_and_its_ranks():
    """The mean ranks that follow from the printed numbers; the poster prints 4.4, 5.6, 3.1, 3.0, 2.9 and 2.0."""
    table = published("structured_shrinkage").pivot(index="data", columns="method", values="value")
    assert table.shape == (7, 6) and not table.isna().any(axis=None)
    assert table.loc["yacht", ["ard", "add", "ard_add"]].tolist() == [0.691, 0.657, 0.604]
    ranks = table.rank(axis=1).mean().round(2).to_dict()
    assert ranks == {"dropout": 4.29, "pbp": 5.57, "deep_gp": 3.29, "ard": 3.0, "add": 2.79, "ard_add": 2.07}


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match="unknown published table 'sparsety'; did you mean 'sparsity'"):
        published("sparsety")
