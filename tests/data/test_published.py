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


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match="unknown published table 'sparsety'; did you mean 'sparsity'"):
        published("sparsety")
