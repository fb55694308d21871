"""form=auto: which form the layers of a prior get, by a pilot run."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver.form import choose_form
from noisezoo.inference.runs import run as runs
from noisezoo.inference.runs.folder import read_run
from noisezoo.inference.target.warm_start import load
from noisezoo.models import catalogue
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import bernoulli, half_cauchy, log_uniform
from noisezoo.models.ppl.programs import log_joint, simulate
from noisezoo.models.weights.parametrisation import prior

MIXED = "layer0=hierarchical,layer1=expanded"


def regression(rows, noise):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    y = x @ np.array([1, -1, 0.5, 0.0]) + noise * rng.normal(size=rows)
    return jnp.asarray(x), jnp.asarray(y, jnp.float32), noise**-2


@pytest.mark.parametrize("rows, noise, form", [(400, 0.3, "hierarchical"), (4, 3.0, "expanded")])
def test_weights_that_data_tell_are_centred(rows, noise, form):
    x, y, precision = regression(rows, noise)
    assert choose_form(lambda form: gaussian(mlp(), prior(half_cauchy(), form=form), precision), x, y) == form


@pytest.mark.parametrize("noise", [bernoulli(), log_uniform()])
def test_without_a_choice_there_is_no_pilot(noise):
    x, y, precision = regression(4, 1.0)
    assert choose_form(lambda form: gaussian(mlp(), prior(noise, form=form), precision), x, y) == "expanded"


def test_a_form_for_each_layer(language):
    """The log joint is that of the layers by themselves: the sites of one form and of the other."""
    x, _, _ = regression(4, 1.0)
    if language == "pyro":
        import torch

        x = torch.as_tensor(np.array(x))
    models = {form: gaussian(mlp(3), prior(half_cauchy(), form=form)) for form in (MIXED, "hierarchical", "expanded")}
    values = simulate(models[MIXED], 0, x)
    sites = {"layer0.scale", "layer0.weight", "layer0.bias", "layer1.scale", "layer1.base", "layer1.bias"}
    assert sites <= set(values) and "layer0.base" not in values
    sampled = {name: v for name, v in values.items() if name not in ("f", "data", "layer1.weight")}
    whole = {form: {**sampled} for form in models}
    for layer in ("layer0", "layer1"):
        scale = values[f"{layer}.scale"][:, None]
        whole["hierarchical"][f"{layer}.weight"] = values[f"{layer}.weight"]
        whole["expanded"][f"{layer}.base"] = values[f"{layer}.weight"] / scale
    whole["hierarchical"].pop("layer1.base"), whole["expanded"].pop("layer0.weight")
    # w = scale * z: the densities of z and w differ by the volume of that map
    logs = {layer: np.log(np.asarray(values[f"{layer}.scale"])).sum() for layer in ("layer0", "layer1")}
    volume = {layer: values[f"{layer}.weight"].shape[1] * log for layer, log in logs.items()}
    mixed, centred, expanded = (float(log_joint(models[f], whole[f], x)) for f in (MIXED, "hierarchical", "expanded"))
    np.testing.assert_allclose(mixed, centred + volume["layer1"], rtol=1e-4)
    np.testing.assert_allclose(mixed, expanded - volume["layer0"], rtol=1e-4)


@pytest.mark.parametrize(
    "form, says",
    [
        ("auto", "needs the data: noisezoo compare has it"),
        ("layer0=hierarchica,layer1=expanded", "did you mean 'hierarchical'"),
        ("layer0=expanded,layer0=hierarchical", "for each layer once"),
        ("layer0=", "for each layer once"),
    ],
)
def test_bad_forms(form, says):
    with pytest.raises(ValueError, match=says):
        prior(half_cauchy(), form=form)


def test_a_layer_without_a_form():
    x, _, _ = regression(4, 1.0)
    with pytest.raises(ValueError, match="says nothing of layer1; write layer1=expanded beside those of layer0"):
        simulate(gaussian(mlp(3), prior(half_cauchy(), form="layer0=expanded")), 0, x)


def test_a_run_tells_its_forms(tmp_path, monkeypatch):
    """The pilot sees the training rows; what it decides is said, is in run.json, and is what was fitted."""
    asked = []
    monkeypatch.setattr(runs, "judge", lambda *_: None)  # which takes the most of it
    monkeypatch.setattr("noisezoo.inference.driver.form.choose_form", lambda *a: asked.append(a) or MIXED)
    words = {"data": "diabetes", "with_": "svi:guide=mean_field,steps=2,draws=2", "form": "auto", "network": "mlp:3"}
    prepared = runs.prepare("half_cauchy", **words, seed=3, out=tmp_path / "run")
    lines = []
    runs.run(prepared, progress=False, print_line=lines.append)
    model_of, x, y, seed = asked[0]
    assert seed == 3 and x.shape == prepared.data.x_train.shape and model_of("expanded") is not None
    record = read_run(tmp_path / "run")
    said = "form: layer0=hierarchical, layer1=expanded, as a pilot run decided"
    assert record["form"] == MIXED and said in lines and said in record["understood"]
    sites = load(next((tmp_path / "run").glob("*.nc")))["posterior"]
    assert "layer0.base" not in sites and "layer1.base" in sites


def test_whole_priors_have_no_form(tmp_path):
    with pytest.raises(ValueError, match="leave structure, form and sigma0 out"):
        runs.prepare("sparse_vd", data="diabetes", form="auto", out=tmp_path / "run")
    assert "auto" in catalogue.FORM_MEANINGS
