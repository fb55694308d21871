"""A sweep's file: what it means, and one sentence with the place for whatever is wrong with it."""

import pytest
from noisezoo.inference.sweeps import plan
from noisezoo.inference.sweeps.store import Cell, keys

GOOD = """
[models.ard]
prior = "half_cauchy"
[models.sparse]
prior = "inverse_gamma:a=3,b=3"
structure = "add"
form = "hierarchical"
network = "residual_mlp:50-50"
sigma0 = 1
precision = 20.0
[strategies]
nuts = "nuts:draws=500"
[strategies.em]
with = "svi:guide=local,lr=0.001,batch_size=32"
epochs = 10
[[grid]]
models = ["ard"]
data = ["yacht", "mine.csv:y"]
splits = 3
[[grid]]
strategies = ["em"]
data = ["yacht"]
splits = [2, 5]
seeds = [0, 7]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.csv").write_text("x,y\n1,2\n")

    def write(text):
        path = tmp_path / "s.toml"
        path.write_text(text)
        return path

    return write


def test_what_a_file_means(file):
    found = plan.read(file(GOOD))
    assert found.models["sparse"] == {
        **{"prior": "inverse_gamma:a=3,b=3", "structure": "add", "form": "hierarchical"},
        **{"network": "residual_mlp:50-50", "sigma0": 1.0, "precision": 20.0},
    }
    assert found.models["ard"]["network"] == "mlp:50" and found.models["ard"]["sigma0"] is None
    assert found.strategies["nuts"].config.draws == 500
    first = {Cell("ard", s, d, k, 0) for s in ("nuts", "em") for d in ("yacht", "mine.csv:y") for k in range(3)}
    second = {Cell(m, "em", "yacht", k, s) for m in ("ard", "sparse") for k in (2, 5) for s in (0, 7)}
    assert len(found.cells) == len(first | second)  # split 2 of the first grid is in both, and counts once
    assert set(found.cells) == first | second


def test_epochs_become_steps(file):
    em = plan.read(file(GOOD)).strategies["em"]
    assert em.on(277).steps == 10 * 8
    assert em.on(20).steps == 10
    whole = plan.read(file(GOOD.replace(",batch_size=32", ""))).strategies["em"]
    assert whole.on(277).steps == 10


def test_the_order_of_a_file_does_not_matter_and_its_settings_do(file):
    facts = plan.read(file(GOOD)).facts()
    turned = GOOD.replace('["yacht", "mine.csv:y"]', '["mine.csv:y", "yacht"]').replace("[2, 5]", "[5, 2]")
    assert plan.read(file(turned)).facts() == facts
    assert plan.read(file(GOOD.replace("nuts:draws=500", "nuts:draws=500,chains=4"))).facts() == facts  # default
    other = plan.read(file(GOOD.replace("draws=500", "draws=501"))).facts()
    ours, theirs = keys(facts), keys(other)
    assert {cell for cell in ours if ours[cell] != theirs[cell]} == {cell for cell in ours if cell.strategy == "nuts"}
    assert len(set(ours.values())) == len(ours)


def test_a_table_that_changed_is_other_data(file, tmp_path):
    before = keys(plan.read(file(GOOD)).facts())
    (tmp_path / "mine.csv").write_text("x,y\n1,3\n")
    after = keys(plan.read(file(GOOD)).facts())
    assert {cell.data for cell in before if before[cell] != after[cell]} == {"mine.csv:y"}


NAMED = GOOD.replace('"mine.csv:y"', '"mine"').replace(
    "[[grid]]", '[data.mine]\ntable = "mine.csv:y"\ndrop = ["id"]\ntest_fraction = 0.5\n[[grid]]', 1
)


def test_a_table_with_a_name_says_how_it_is_read(file, tmp_path):
    found, plain = plan.read(file(NAMED)), plan.read(file(GOOD)).facts()
    assert found.located("mine") == str(tmp_path.resolve() / "mine.csv:y")
    assert found.reading("mine") == {"drop": ["id"], "test_fraction": 0.5} and found.reading("yacht") == {}
    facts = found.facts()
    assert facts["files"] == plain["files"] and "data" not in plain and "x64" not in plain  # keys are as they were
    ours, theirs, before = keys(facts), keys(plan.read(file(NAMED.replace("0.5", "0.4"))).facts()), keys(plain)
    assert {cell.data for cell in ours if ours[cell] not in theirs.values()} == {"mine"}
    assert all(before[cell] == key for cell, key in ours.items() if cell.data == "yacht")
    (tmp_path / "mine.csv").write_text("x,y\n1,3\n")
    after = keys(plan.read(file(NAMED)).facts())
    assert {cell.data for cell in ours if ours[cell] != after[cell]} == {"mine"}


def test_double_precision_is_another_sweep(file):
    double = plan.read(file(f"x64 = true\n{GOOD}"))
    assert double.x64 and not plan.read(file(f"x64 = false\n{GOOD}")).x64
    ours, theirs = keys(double.facts()), keys(plan.read(file(GOOD)).facts())
    assert ours.keys() == theirs.keys() and not set(ours.values()) & set(theirs.values())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('table = "mine.csv:y"', "", r"\[data.mine\]: say which table it is"),
        (
            'table = "mine.csv:y"',
            'table = "mine.xlsx:y"',
            r"\[data.mine\]: table is a file and its target, .*mine.xlsx",
        ),
        ('table = "mine.csv:y"', 'table = "yacht"', r"\[data.mine\]: table is a file and its target, .*'yacht'"),
        ('table = "mine.csv:y"', 'table = "none.csv:y"', "there is no file .*none.csv"),
        ("drop =", "dorp =", r"\[data.mine\]: unknown setting of a table 'dorp'; did you mean 'drop'"),
        ('["id"]', '"id"', r"\[data.mine\]: drop must be a list of names"),
        ("0.5", '"half"', r"\[data.mine\]: test_fraction must be a number, got 'half'"),
        ("[data.mine]", "[data.yacht]", r"\[data.yacht\]: yacht is a data set of the list already"),
        ('"yacht", "mine"', '"yacht", "mien"', "grid 1: unknown data set 'mien'; did you mean 'mine'"),
        ("[data.mine]", "[[data]]", r"\[data\]: a table of your own is \[data.NAME\]"),
        ("\n[models.ard]", "x64 = 1\n[models.ard]", "s.toml: x64 must be true or false, got 1"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(file, old, new, said):
    assert old in NAMED
    with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
        plan.read(file(NAMED.replace(old, new, 1)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('form = "hier', "form = hier", "s.toml is not TOML: .*at line 7, "),
        ("[[grid]]", "[[grid", "line 16"),
        ("epochs = 10\n", 'epochs = 10\ntext = """', "line .*the end"),
        ("[models.ard]\n", "[modles.ard]\n", "unknown key 'modles'; did you mean 'models'"),
        ("sigma0 = 1", "sigma = 1", r"\[models.sparse\]: unknown setting of a model 'sigma'; did you mean 'sigma0'"),
        ("sigma0 = 1", "sigma0 = -1", "sigma0 must be positive"),
        ("sigma0 = 1", "sigma0 = true", "sigma0 must be a number, got True"),
        ('"half_cauchy"', '"half_cauchi"', r"\[models.ard\]: unknown noise 'half_cauchi'; did you mean"),
        ('"residual_mlp:50-50"', '"residual_mlp"', r"\[models.sparse\]: network residual_mlp needs the widths"),
        ('prior = "half_cauchy"', "", r"\[models.ard\]: .*a prior"),
        ("guide=local", "guide=locale", r"\[strategies\] em: unknown guide 'locale'"),
        ("epochs = 10", "epoch = 10", r"\[strategies\] em: unknown setting of a strategy 'epoch'; did you mean"),
        ("epochs = 10", "epochs = 0", "epochs must be at least 1"),
        ("epochs = 10", "epochs = 1.5", "epochs must be a whole number"),
        ("lr=0.001", "steps=5", "leave one of them out"),
        ('"svi:guide=local,lr=0.001,batch_size=32"', '"nuts"', "epochs are of svi; nuts has no steps"),
        ('"nuts:draws=500"', '"nuts,sgld"', r"\[strategies\] nuts: write one strategy, not 2"),
        ('models = ["ard"]', 'models = ["add"]', "grid 1: unknown model 'add'; did you mean 'ard'"),
        ('strategies = ["em"]', 'strategies = ["me"]', "grid 2: unknown strategy 'me'"),
        ('models = ["ard"]', "models = []", "grid 1: models must be a list of names with one name at least"),
        ('"yacht", ', '"yatch", ', "grid 1: unknown data set 'yatch'; did you mean 'yacht'"),
        ("mine.csv:y", "other.csv:y", "there is no file .*other.csv"),
        ('data = ["yacht"]', "", "grid 2: say on which data"),
        ("splits = 3", "splits = 0", "grid 1: splits is empty"),
        ("splits = 3", "splits = []", "grid 1: splits is empty"),
        ("splits = 3", "splits = 1.5", "splits must be a count or a list"),
        ("splits = [2, 5]", "splits = [2, 50]", "grid 2: .*'yacht' has splits 0 to 19; there is no split 50"),
        ("[[grid]]", "[[grids]]", "unknown key 'grids'; did you mean 'grid'"),
        ("seeds", "seed", "grid 2: unknown key of a grid 'seed'; did you mean 'seeds'"),
        ("[models.ard]", 'ppl = "piro"\n[models.ard]', "s.toml: .*piro"),
    ],
)
def test_what_is_wrong_is_one_sentence(file, old, new, said):
    assert old in GOOD
    with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
        plan.read(file(GOOD.replace(old, new)))
    assert "\n" not in str(error.value)


def test_without_a_grid_there_is_nothing_to_do(file):
    with pytest.raises(ValueError, match=r"no \[\[grid\]\], so there is nothing to do"):
        plan.read(file(GOOD.partition("[[grid]]")[0]))
    with pytest.raises(ValueError, match=r"names no models; add a table \[models.ard\]"):
        plan.read(file(""))
    with pytest.raises(ValueError, match=r"in two brackets"):
        plan.read(file(GOOD.partition("[[grid]]")[0] + '[grid]\ndata = ["yacht"]'))


def test_a_file_that_is_not_there_or_not_text(file, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        plan.read(tmp_path / "none.toml")
    path = tmp_path / "bytes.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not UTF-8"):
        plan.read(path)
