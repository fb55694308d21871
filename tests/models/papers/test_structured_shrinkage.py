"""Structured shrinkage's programs: which layers have which scales, and the density against scipy's."""

import numpy as np
import pytest
from noisezoo.models.networks import residual_mlp
from noisezoo.models.papers import scale_mixture, structured_shrinkage
from noisezoo.models.ppl.programs import log_joint, simulate
from scipy import stats

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.linspace(-1, 1, 6, dtype=np.float32)
SCALES = {
    "ard": {"layer0.scale": (3,), "layer1.scale": (50,), "layer2.scale": (50,)},
    "add": {"layer0.scale": (3,), "layer1.scale": (), "layer2.scale": (50,)},
    "ard_add": {
        "layer0.scale": (3,),
        "layer1.scale.unit": (50,),
        "layer1.scale.layer": (),
        "layer2.scale": (50,),
    },
}


def arrays(language, *values):
    if language == "numpyro":
        import jax.numpy as jnp

        return [jnp.asarray(v) for v in values]
    import torch

    return [torch.as_tensor(v) for v in values]


@pytest.mark.parametrize("structure", SCALES)
def test_a_layer_that_keeps_its_width_has_a_scale_of_its_own(language, structure):
    sites = simulate(structured_shrinkage.model(structure), 0, *arrays(language, X, Y))
    assert {k: tuple(v.shape) for k, v in sites.items() if ".scale" in k} == SCALES[structure]


def test_log_joint_is_that_of_the_slide(language):
    """w ~ N(0, lambda^2 tau^2), lambda^2 and tau^2 ~ InverseGamma(3, 3), biases N(0, 1), y ~ N(f, 1 / 20)."""
    x, y = arrays(language, X, Y)
    model = structured_shrinkage.model("ard_add")
    sites = simulate(model, 1, x, y)
    found = float(log_joint(model, {k: v for k, v in sites.items() if k not in ("f", "y")}, x, y))
    v = {k: np.asarray(a, dtype=float) for k, a in sites.items()}

    def log_scale(s):
        return np.sum(stats.invgamma(3, scale=3).logpdf(s**2) + np.log(2 * s))

    width = {f"layer{i}": v[f"layer{i}.scale"] for i in (0, 2)}
    width["layer1"] = v["layer1.scale.unit"] * v["layer1.scale.layer"]
    expected = sum(log_scale(a) for k, a in v.items() if ".scale" in k)
    for name, s in width.items():
        expected += np.sum(stats.norm(0, s[:, None]).logpdf(v[f"{name}.weight"]))
        expected += np.sum(stats.norm.logpdf(v[f"{name}.bias"]))
    h = np.maximum(X @ v["layer0.weight"] + v["layer0.bias"], 0)
    h = h + np.maximum(h @ v["layer1.weight"] + v["layer1.bias"], 0)
    f = (h @ v["layer2.weight"] + v["layer2.bias"])[:, 0]
    expected += np.sum(stats.norm(f, 20**-0.5).logpdf(Y))
    np.testing.assert_allclose(found, expected, rtol=2e-4)


@pytest.mark.parametrize("wrong", [{"structure": "addd"}, {"scale": "half_cauchi"}])
def test_unknown_words(wrong):
    with pytest.raises(ValueError, match="did you mean"):
        structured_shrinkage.prior(**wrong)


def test_a_scale_mixture_has_a_scale_for_each_input_unit(language):
    from noisezoo.models.likelihoods import gaussian

    model = gaussian(residual_mlp(4), scale_mixture.prior("rayleigh", "hierarchical"))
    sites = simulate(model, 0, *arrays(language, X, Y))
    assert {k: tuple(v.shape) for k, v in sites.items() if ".scale" in k} == {
        "layer0.scale": (3,),
        "layer1.scale": (4,),
    }
