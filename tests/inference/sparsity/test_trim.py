"""What is written, cut down and read again is the same function as the trimmed net."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from made_trees import made_data
from nets import by_hand, guided, made_run, random_net
from noisezoo.inference import files
from noisezoo.inference.judging import datatree
from noisezoo.inference.runs import folder, trim
from noisezoo.inference.sparsity import coordinate_format, evaluation, net_files, report, smaller_net, summary, trimming
from noisezoo.inference.target import warm_start
from noisezoo.models import catalogue
from noisezoo.models.networks import NETWORKS, bare
from noisezoo.models.networks.layers import ACTIVATIONS

FEATURES = 6
NETS = {"linear": (), "mlp:8-7": (8, 7), "mlp:8-7-5,activation=relu": (8, 7, 5), "mlp:4,activation=relu": (4,)}


def random_masks(loc, keep=0.25, seed=1):
    rng = np.random.default_rng(seed)
    return {site: rng.uniform(size=loc[site].shape) < keep for site in trimming.weights(loc)}


def activation(words):
    return "relu" if "relu" in words else "tanh"


def naive(kernels):
    """Units that stay, by level: take out one unit after another until none can go (dense nets, an oracle)."""
    stays = [np.ones(k.shape[0], bool) for k in kernels] + [np.ones(kernels[-1].shape[1], bool)]
    kernels, changed = [k != 0 for k in kernels], True
    while changed:
        changed = False
        for level in range(len(kernels)):
            for unit in np.flatnonzero(stays[level]):
                leaves = kernels[level][unit].any()
                enters = level == 0 or kernels[level - 1][:, unit].any()
                if not (leaves and enters):
                    kernels[level][unit] = False
                    if level:
                        kernels[level - 1][:, unit] = False
                    stays[level][unit], changed = False, True
    return stays


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("words", NETS)
def test_units_go_as_if_they_were_taken_out_one_by_one(words, seed):
    loc = random_net(FEATURES, *NETS[words], 3, seed=seed)
    masks = random_masks(loc, 0.2, seed)
    small = smaller_net.smaller(loc, masks, activation(words))
    left = trimming.trimmed(loc, masks)
    for found, wanted in zip(small.kept, naive([left[site] for site in trimming.weights(loc)]), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("words", NETS)
def test_the_smaller_net_is_the_trimmed_one(words, seed):
    loc = random_net(FEATURES, *NETS[words], 3, seed=seed, dtype=np.float64)
    masks = random_masks(loc, 0.3, seed)
    if len(masks) > 1:
        masks["layer0.weight"][:, [0, 2]] = False  # nothing enters these, and their biases are not zero
        loc["layer0.bias"][[0, 2]] = 0.7
        masks["layer1.weight"][[0, 2]] = True
    x, act = np.random.default_rng(seed).normal(size=(40, FEATURES)), activation(words)
    small = smaller_net.smaller(loc, masks, act)
    wanted = by_hand(trimming.trimmed(loc, masks), x, act)
    np.testing.assert_allclose(by_hand(small.arrays, x, act), wanted, atol=1e-12)
    arrays, inputs = smaller_net.compact(small)
    np.testing.assert_allclose(by_hand(arrays, x[:, inputs], act), wanted, atol=1e-12)
    if len(masks) > 1:  # without the constants it would be another function
        assert not small.kept[1][[0, 2]].any()
        unfolded = {**arrays, "layer1.bias": loc["layer1.bias"][small.kept[2]]}
        assert np.abs(by_hand(unfolded, x[:, inputs], act) - wanted).max() > 1e-3


def test_constants_go_through_several_layers():
    loc = {
        "layer0.weight": np.array([[0.0, 1.0]]),
        "layer0.bias": np.array([0.7, 0.0]),
        "layer1.weight": np.array([[2.0, 0.0], [0.0, 1.0]]),
        "layer1.bias": np.array([0.3, 0.0]),
        "layer2.weight": np.array([[5.0], [1.0]]),
        "layer2.bias": np.array([0.1]),
    }
    arrays, _ = smaller_net.compact(smaller_net.smaller(loc, {s: loc[s] != 0 for s in trimming.weights(loc)}, "tanh"))
    assert {k: v.shape for k, v in arrays.items() if "weight" in k} == dict.fromkeys(trimming.weights(loc), (1, 1))
    assert arrays["layer2.bias"][0] == pytest.approx(0.1 + 5 * np.tanh(2 * np.tanh(0.7) + 0.3))


def test_the_architecture_is_told():
    loc = random_net(4, 3, 2, 2)
    masks = {site: np.ones_like(loc[site], bool) for site in trimming.weights(loc)}
    masks["layer0.weight"][1] = False  # a dead input
    masks["layer0.weight"][:, 2] = False  # nothing enters unit 2
    masks["layer2.weight"][0] = False  # nothing leaves unit 0
    found = smaller_net.architecture(smaller_net.smaller(loc, masks))
    assert found["text"] == "4-3-2-2 -> 3-2-1-2" and found["units"] == [3, 2, 1, 2]
    assert found["weights"] == 3 * 2 + 2 * 1 + 1 * 2
    assert found["compression"] == pytest.approx((12 + 6 + 4) / 10)


def test_a_net_that_lost_everything_keeps_one_unit_of_each_level():
    loc = random_net(5, 4, 3, 2)
    masks = {site: np.zeros_like(loc[site], bool) for site in trimming.weights(loc)}
    small = smaller_net.smaller(loc, masks, "tanh")
    assert smaller_net.architecture(small) == {
        "text": "5-4-3-2 -> 0-0-0-2",
        "units": [0, 0, 0, 2],
        "weights": 0,
        "compression": None,
    }
    arrays, inputs = smaller_net.compact(small)
    assert [arrays[site].shape for site in trimming.weights(arrays)] == [(1, 1), (1, 1), (1, 2)]
    x = np.random.default_rng(0).normal(size=(7, 5))
    np.testing.assert_allclose(by_hand(arrays, x[:, inputs]), np.tile(loc["layer2.bias"], (7, 1)), rtol=1e-6)


def convolutional(loc, x, act, padding):
    """Two convolutions, each pooled by two, then dense layers, on images 14 x 14 with two channels."""
    h, act = jnp.asarray(x).reshape(-1, 14, 14, 2), ACTIVATIONS[act]
    for i in range(4):
        weight, bias = loc[f"layer{i}.weight"], loc[f"layer{i}.bias"]
        if i < 2:
            form = ("NHWC", "HWIO", "NHWC")
            h = jax.lax.conv_general_dilated(h, jnp.asarray(weight), (1, 1), padding, dimension_numbers=form)
            h = act(jnp, h + bias)
            h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            continue
        h = h.reshape(len(h), -1) @ weight + bias
        h = act(jnp, h) if i < 3 else h
    return np.asarray(h)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("act", ["relu", "tanh"])
@pytest.mark.parametrize("padding, side", [("VALID", 2), ("SAME", 3)])
def test_channels_go_and_the_net_stays_the_same(act, padding, side, seed):
    rng = np.random.default_rng(seed)
    shapes = [(3, 3, 2, 5), (3, 3, 5, 6), (6 * side**2, 7), (7, 3)]
    loc = {f"layer{i}.weight": rng.normal(size=s).astype(np.float32) / 3 for i, s in enumerate(shapes)}
    loc |= {f"layer{i}.bias": rng.normal(size=s[-1]).astype(np.float32) for i, s in enumerate(shapes)}
    masks = random_masks(loc, 0.5, seed)
    masks["layer0.weight"][..., [0, 1]] = False  # constant channels, in front of a convolution ...
    loc["layer0.bias"][:2] = 1.0, -1.0
    masks["layer1.weight"][..., 3] = False  # ... and in front of a dense layer
    loc["layer1.bias"][3] = 1.0
    masks["layer1.weight"][..., 4, :] = False  # channel 4 goes nowhere
    masks["layer2.weight"][5::6] = False  # nor does channel 5 of the second
    small = smaller_net.smaller(loc, masks, act)
    np.testing.assert_array_equal(small.kept[1], [True, act == "tanh", True, True, False])  # relu(-1) = 0
    np.testing.assert_array_equal(small.kept[2], [True, True, True, False, True, False])
    x = rng.normal(size=(5, 14 * 14 * 2))
    wanted = convolutional(trimming.trimmed(loc, masks), x, act, padding)
    np.testing.assert_allclose(convolutional(small.arrays, x, act, padding), wanted, atol=2e-5)
    arrays, _ = smaller_net.compact(small)
    np.testing.assert_allclose(convolutional(arrays, x, act, padding), wanted, atol=2e-5)
    told = smaller_net.architecture(small)
    assert told["weights"] == sum(arrays[site].size for site in trimming.weights(arrays))
    assert told["text"].startswith("2-5-6-7-3 -> 2-")


def test_a_lenet_loses_channels_and_stays_the_same():
    rng, sites = np.random.default_rng(0), {}
    for i, shape in enumerate([(5, 5, 1, 20), (5, 5, 20, 50), (50, 500), (500, 3)]):
        sites[f"layer{i}.weight"] = (rng.normal(size=shape) * (np.prod(shape[:-1]) / 4) ** -0.5).astype(np.float32)
        sites[f"layer{i}.bias"] = rng.normal(size=shape[-1]).astype(np.float32)
    masks = random_masks(sites, 0.4)
    for site in list(masks)[:-1]:
        masks[site][..., rng.uniform(size=masks[site].shape[-1]) < 0.4] = False
    small = smaller_net.smaller(sites, masks, smaller_net.activation("lenet5"))
    x, model = rng.normal(size=(20, 256)), bare.bare_program(NETWORKS["lenet5"](), 3)
    wanted = evaluation.outputs(model, trimming.trimmed(sites, masks), x)
    np.testing.assert_allclose(evaluation.outputs(model, small.arrays, x), wanted, atol=2e-5)
    assert np.ptp(wanted, axis=0).min() > 0.1 and all(k.sum() < 0.95 * k.size for k in small.kept[1:-1])


def test_why_a_constant_in_front_of_a_padded_convolution_stays():
    loc = {f"layer{i}.weight": np.full((3, 3, 1, 1), -1, np.float32) for i in range(2)}
    loc |= {"layer2.weight": np.ones((9, 1), np.float32), "layer3.weight": np.ones((1, 1), np.float32)}
    loc |= {f"layer{i}.bias": np.ones(1, np.float32) for i in range(4)}
    loc["layer0.weight"] = np.zeros((3, 3, 2, 1), np.float32)  # the output is relu(1) = 1 at every place
    loc["layer1.bias"] += 10
    folded = {**loc, "layer1.weight": 0 * loc["layer1.weight"], "layer1.bias": np.full(1, 11 - 9, np.float32)}
    x = np.zeros((1, 14 * 14 * 2))
    off = convolutional(folded, x, "relu", "SAME") - convolutional(loc, x, "relu", "SAME")
    assert np.abs(off).max() > 1  # at the edge fewer than nine ones are seen
    np.testing.assert_array_equal(
        smaller_net.smaller(loc, {s: loc[s] != 0 for s in trimming.weights(loc)}).kept[1], [True]
    )


@pytest.mark.parametrize(
    "shapes",
    [[(4, 3), (2, 1)], [(3, 3, 1, 4), (10, 2)], [(4, 9), (3, 3, 1, 2)], [(3, 3, 1, 4), (3, 3, 2, 4), (4, 1)]],
)
def test_layers_that_do_not_follow_one_another_are_refused(shapes):
    loc = {f"layer{i}.weight": np.ones(s) for i, s in enumerate(shapes)}
    loc |= {f"layer{i}.bias": np.ones(s[-1]) for i, s in enumerate(shapes)}
    with pytest.raises(ValueError, match="not a plain sequence"):
        smaller_net.smaller(loc, {s: loc[s] > 0 for s in trimming.weights(loc)})
    with pytest.raises(ValueError, match="no layer0.bias"):
        smaller_net.smaller({"layer0.weight": np.ones((2, 1))}, {"layer0.weight": np.ones((2, 1), bool)})


def test_the_activation_is_that_of_the_words():
    assert smaller_net.activation("mlp:50") == "tanh" and smaller_net.activation("mlp:50-50, activation=relu") == "relu"
    assert smaller_net.activation("residual_mlp:50") == "relu" and smaller_net.activation("lenet") == "relu"
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for words in ("mlp:5", "mlp:5,activation=relu"):
        loc = random_net(4, 5, 2)
        found = evaluation.outputs(bare.bare_program(catalogue.network(words), 2), loc, x)
        np.testing.assert_allclose(found, by_hand(loc, x, smaller_net.activation(words)), rtol=1e-5, atol=1e-5)


def test_what_else_makes_the_function_is_written_too():
    loc = random_net(3, 2) | {"layer0.gain": np.full(2, 3.0), "layer0.scale": np.ones(3), "precision": np.ones(())}
    masks = random_masks(loc, 1.0)
    there = coordinate_format.encode(trimming.network_sites(loc), masks)
    assert set(there) == {"layer0.weight.index", "layer0.weight.value", "layer0.bias", "layer0.gain"}
    back = coordinate_format.decode(there, {"layer0.weight": (3, 2)})

    def model(x):
        gain = numpyro.sample("layer0.gain", dist.Normal(1.0, 1.0).expand((2,)).to_event(1))
        h = x @ numpyro.sample("layer0.weight", dist.Normal(0.0, 1.0).expand((3, 2)).to_event(2))
        numpyro.deterministic(
            "f", h * gain + numpyro.sample("layer0.bias", dist.Normal(0.0, 1.0).expand((2,)).to_event(1))
        )

    x = np.random.default_rng(0).normal(size=(4, 3))
    wanted = 3 * x @ loc["layer0.weight"] + loc["layer0.bias"]
    np.testing.assert_allclose(evaluation.outputs(model, back, x), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="no value for layer0.gain"):
        evaluation.outputs(model, {k: v for k, v in back.items() if k != "layer0.gain"}, x)


def test_packed_arrays_come_back():
    loc = random_net(30, 20, 3)
    masks = random_masks(loc, 0.1)
    there = coordinate_format.encode(loc, masks)
    assert there["layer0.weight.index"].dtype == np.int32 and there["layer0.weight.value"].dtype == np.float32
    assert len(there["layer0.weight.value"]) == masks["layer0.weight"].sum()
    shapes = {site: loc[site].shape for site in trimming.weights(loc)}
    for site, values in coordinate_format.decode(there, shapes).items():
        np.testing.assert_array_equal(values, trimming.trimmed(loc, masks)[site])
    count = sum(m.sum() for m in masks.values())
    sizes = [coordinate_format.size(arrays, 5) for arrays in (there, loc)]
    assert abs(sizes[0] - (8 * count + 4 * 23 + 16 * 5)) < 1000 and sizes[1] > 4 * 660


def exported(tmp_path, words="mlp:8-7", task="regression", keep=0.4, name="net"):
    data = made_data(task)
    loc = random_net(FEATURES, *NETS[words], 3 if task == "categorical" else 1)
    masks = random_masks(loc, keep)
    facts = net_files.export(tmp_path / name, loc, masks, words, data, "log_alpha", 3.0)
    return data, trimming.trimmed(loc, masks), facts, tmp_path / name


@pytest.mark.parametrize("task", ["regression", "binary", "categorical"])
@pytest.mark.parametrize("words", NETS)
def test_a_net_that_was_read_predicts_what_the_trimmed_one_predicts(words, task, tmp_path):
    data, left, facts, path = exported(tmp_path, words, task)
    raw = data.x_test.astype(float) * data.x_scale + data.x_mean
    f = by_hand(left, data.x_test, activation(words))
    wanted = {
        "regression": lambda: data.original(f),
        "binary": lambda: np.stack([1 / (1 + np.exp(f)), 1 / (1 + np.exp(-f))], axis=1),
        "categorical": lambda: np.exp(f) / np.exp(f).sum(axis=1, keepdims=True),
    }[task]()
    moved = shutil.move(path, tmp_path / "elsewhere")
    for small in (False, True):
        found = net_files.load_net(moved, small).predict(raw)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * max(1, data.y_scale))
    if task != "regression":
        wrong = 100 * np.mean(net_files.load_net(moved).predict(raw).argmax(axis=1) != data.y_test)
        assert wrong == pytest.approx(facts["error"]["after"])
        assert facts["classes"] == list(data.classes)


def test_the_facts_are_on_disk(tmp_path):
    data, left, facts, path = exported(tmp_path)
    assert net_files.load_net(path).description == facts
    assert facts["network"] == "mlp:8-7" and facts["rule"] == "log_alpha" and facts["threshold"] == 3.0
    assert facts["features"] == list(data.features) and facts["y_scale"] == data.y_scale and "jax" in facts["versions"]
    assert facts["kept"] == sum(np.count_nonzero(left[site]) for site in trimming.weights(left))
    assert facts["bytes"]["after"] == (path / net_files.TENSORS).stat().st_size
    assert facts["bytes"]["compact"] == (path / net_files.COMPACT).stat().st_size
    assert facts["bytes"]["before"] == coordinate_format.size(left, len(data.features))
    assert facts["compact"].startswith("mlp:") and facts["compact"].endswith(",activation=tanh")
    small = net_files.load_net(path, small=True)
    assert "-".join(map(str, facts["structured"]["units"][1:-1])) == small.spec[len("mlp:") :].partition(",")[0]
    assert {p.name for p in path.iterdir()} == {net_files.NET, net_files.TENSORS, net_files.COMPACT}


def test_a_residual_net_has_no_smaller_one_and_leaves_none_behind(tmp_path):
    path = exported(tmp_path)[3]
    loc = random_net(FEATURES, 5, 5, 1)
    masks = random_masks(loc, 1.0)
    masks["layer1.weight"][:, 0] = False
    facts = net_files.export(path, loc, masks, "residual_mlp:5-5", made_data())
    assert facts["compact"] is None and not (path / net_files.COMPACT).exists()
    assert facts["rule"] == "" and facts["text"] == "masks as given"
    with pytest.raises(ValueError, match="no smaller dense net"):
        net_files.load_net(path, small=True)
    assert np.isfinite(net_files.load_net(path).predict(np.zeros((2, FEATURES)))).all()


def test_a_wrong_guess_at_the_activation_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(smaller_net, "activation", lambda words: "relu")
    loc = random_net(FEATURES, 8, 7, 1)
    masks = {site: np.ones_like(loc[site], bool) for site in trimming.weights(loc)}
    masks["layer0.weight"][:, 0] = False  # this unit is constant, and its constant is not relu(bias)
    facts = net_files.export(tmp_path, loc, masks, "mlp:8-7", made_data())
    assert facts["compact"] is None and facts["structured"] is None


def test_trimming_away_everything_can_be_written_and_read(tmp_path):
    data, _, facts, path = exported(tmp_path, keep=0.0)
    for small in (False, True):
        assert np.ptp(net_files.load_net(path, small).predict(data.x_test)) == 0
    assert facts["compression"] is None and facts["kept"] == 0


@pytest.mark.parametrize(
    "x, said",
    [
        (np.zeros((2, 5)), r"takes x of shape \(rows, 6\), got \(2, 5\)"),
        (np.zeros(6), r"got \(6,\)"),
        (np.full((1, 6), np.nan), "NaN or infinite"),
        (np.zeros((0, 6)), "at least one row"),
    ],
)
def test_features_that_do_not_fit_are_refused(x, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        net_files.load_net(exported(tmp_path, "linear")[3]).predict(x)


@pytest.fixture(scope="module")
def net_and_rows(tmp_path_factory):
    """A net, and rows for it as a table."""
    data, _, _, path = exported(tmp_path_factory.mktemp("named"))
    raw = data.x_test.astype(float) * data.x_scale + data.x_mean
    return net_files.load_net(path), pd.DataFrame(raw, columns=list(data.features))


@pytest.mark.parametrize("small", [False, True])
def test_a_table_is_taken_by_its_names_and_an_array_by_its_places(small, tmp_path):
    data, _, _, path = exported(tmp_path)
    net = net_files.load_net(path, small)
    rows = pd.DataFrame(data.x_test.astype(float) * data.x_scale + data.x_mean, columns=list(data.features))
    turned, wanted = rows[rows.columns[::-1]], net.predict(rows.to_numpy())
    np.testing.assert_array_equal(net.predict(rows), wanted)
    np.testing.assert_array_equal(net.predict(turned), wanted)
    assert not np.allclose(net.predict(turned.to_numpy()), wanted)


@pytest.mark.parametrize(
    "changed, said",
    [
        (lambda t: t.drop(columns="feature 2"), "the table lacks feature 2: this net takes the columns feature 0, "),
        (lambda t: t.assign(strength=0.0), "the table has strength in addition: "),
        (lambda t: t.rename(columns={"feature 2": "Feature 2"}), "lacks feature 2 and has Feature 2 in addition: "),
        (lambda t: t[[*t.columns, "feature 1"]], "the table has a column twice: "),
        (lambda t: t.assign(**{"feature 1": "12,5"}), "column 'feature 1' holds .*, not numbers: "),
        (lambda t: t.rename(columns=dict(zip(t.columns, range(6), strict=True))), "lacks feature 0, .* and has 0, 1, "),
        (lambda t: t.mask(t > t.max().max() - 1e-9), "NaN or infinite"),
    ],
)
def test_a_table_of_other_columns_is_refused(net_and_rows, changed, said):
    net, rows = net_and_rows
    with pytest.raises(ValueError, match=said):
        net.predict(changed(rows))


def test_parts_that_do_not_go_together_are_refused(tmp_path):
    data, loc = made_data(), random_net(FEATURES, 8, 1)
    masks = random_masks(loc)
    for words, said in [
        ("mlp:9", r"layer0.weight has shape \(6, 8\), and \(6, 9\)"),
        ("mlp:8-8", "layer1.weight|layer2.weight"),
        ("mpl:8", "did you mean 'mlp'"),
    ]:
        with pytest.raises(ValueError, match=said):
            net_files.export(tmp_path / "net", loc, masks, words, data)
    assert not (tmp_path / "net").exists()


def test_broken_files_are_found(tmp_path):
    path, other = exported(tmp_path)[3], exported(tmp_path, keep=0.8, name="other")[3]
    whole = (path / net_files.TENSORS).read_bytes()
    for content in (whole[:-1], (other / net_files.TENSORS).read_bytes()):
        (path / net_files.TENSORS).write_bytes(content)
        with pytest.raises(ValueError, match="net.safetensors is not whole, or not that of net.json"):
            net_files.load_net(path)
    (path / net_files.TENSORS).unlink()
    with pytest.raises(FileNotFoundError, match="lacks net.safetensors"):
        net_files.load_net(path)
    for content, said in [("{", "is not whole"), ("{}", "not a net of this version"), ("[]", "is not whole")]:
        (path / net_files.NET).write_text(content)
        with pytest.raises(ValueError, match=said):
            net_files.load_net(path)
    with pytest.raises(FileNotFoundError, match="holds no net"):
        net_files.load_net(tmp_path)


def test_an_interrupted_export_does_not_pass_for_a_net(tmp_path, monkeypatch):
    path = exported(tmp_path)[3]

    def stops(part, content):
        if part.name == net_files.NET:
            raise KeyboardInterrupt
        return write(part, content)

    write = files.write
    monkeypatch.setattr(files, "write", stops)
    with pytest.raises(KeyboardInterrupt):
        exported(tmp_path, keep=0.8)
    with pytest.raises(ValueError, match="not that of net.json"):
        net_files.load_net(path)


def test_a_fit_of_a_run_is_trimmed(tmp_path):
    data = made_run(tmp_path)
    out, facts = trim.trim(tmp_path, threshold=1.0)
    assert out == tmp_path / "svi-net" and facts["rule"] == "log_alpha" and facts["threshold"] == 1.0
    assert facts["text"] == "log alpha below 1"
    loc = random_net(10, 5, 1)
    masks = {site: np.log(0.25 / loc[site] ** 2) < 1 for site in trimming.weights(loc)}
    assert facts["kept"] == sum(m.sum() for m in masks.values())
    wanted = data.original(by_hand(trimming.trimmed(loc, masks), data.x_test))
    found = net_files.load_net(out).predict(data.x_test.astype(float) * data.x_scale + data.x_mean)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    again, facts = trim.trim(tmp_path, "svi", "magnitude", out=tmp_path / "a" / "b")
    assert again == tmp_path / "a" / "b" and facts["threshold"] == 0.01
    assert facts["kept"] == sum(np.sum(np.abs(loc[site]) >= 0.01) for site in masks)


def test_the_report_and_trim_say_one_size(tmp_path):
    reported = summary.judged(guided(), "linear")[0]
    loc, scale = report.moments(guided())
    facts = net_files.export(tmp_path, loc, trimming.kept(loc, scale), "linear", made_data(), "log_alpha")
    assert reported["bytes"] == {when: facts["bytes"][when] for when in ("before", "after")}
    assert facts["bytes"]["after"] == (tmp_path / net_files.TENSORS).stat().st_size


def test_a_run_without_such_a_fit_is_one_sentence(tmp_path):
    made_run(tmp_path, ("svi:a", "svi:b"))
    for words, said in [
        ({}, r"several fits .*svi:a, svi:b.*--strategy"),
        ({"strategy": "svi:c"}, "unknown strategy of this run 'svi:c'; did you mean"),
        ({"strategy": "svi:a", "rule": "size"}, "unknown rule 'size'"),
    ]:
        with pytest.raises(ValueError, match=said):
            trim.trim(tmp_path, **words)
    run = folder.read_run(tmp_path)
    run["fits"]["svi:a"]["status"] = "failed"
    folder.write_run(tmp_path, {**run, "data_sha256": "other"})
    with pytest.raises(ValueError, match="svi:a has no fit in this run .failed."):
        trim.trim(tmp_path, "svi:a")
    with pytest.raises(ValueError, match="no longer those of the run"):
        trim.trim(tmp_path)
    tree = warm_start.load(tmp_path / "svi:b.nc")
    del tree["guide"]
    run["fits"]["svi:b"]["sha256"] = datatree.save(tree, tmp_path / "svi:b.nc")
    folder.write_run(tmp_path, run)
    with pytest.raises(ValueError, match="no fit with a guide of independent normals"):
        trim.trim(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        trim.trim(tmp_path / "nowhere")


def test_every_network_of_the_catalogue_says_its_activation():
    assert all(smaller_net.activation(name) in ACTIVATIONS for name in NETWORKS)


def test_a_fit_is_judged_by_what_its_file_holds():
    tree, data = guided(), made_data()
    found = summary.judged(tree, "linear")
    assert [one["rule"] for one in found] == list(trimming.RULES)
    loc, scale = report.moments(tree)
    by_alpha = trimming.kept(loc, scale)["layer0.weight"]
    assert 0 < by_alpha.sum() and found[0]["kept"] == by_alpha.sum()
    for one, weight in ((found[0], loc["layer0.weight"] * by_alpha), (found[1], loc["layer0.weight"])):
        off = data.x_test @ weight[:, 0] + loc["layer0.bias"] - data.y_test
        assert one["error"]["after"] == pytest.approx(data.y_scale * np.sqrt(np.mean(off**2)), rel=1e-4)
    assert summary.judged(tree, "mlp:3") == []  # not the network of this guide
    del tree["guide"]
    assert summary.judged(tree, "linear") == []
