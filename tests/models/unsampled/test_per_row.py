"""Scales of each row's own: the action of a weight under them is that of as many weights, one a row."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.networks import mlp
from noisezoo.models.networks.layers import conv
from noisezoo.models.noises import NOISES
from noisezoo.models.ppl import language
from noisezoo.models.unsampled.action import linear
from noisezoo.models.unsampled.per_row import PerRow
from noisezoo.models.weights.parametrisation import prior
from noisezoo.models.weights.structure import STRUCTURES

ROWS, IN, OUT = 5, 3, 4
RNG = np.random.default_rng(0)
H, W = RNG.normal(size=(ROWS, IN)), RNG.normal(size=(IN, OUT))
SCALES = {"iid": (IN, OUT), "ard": (IN,), "add": ()}


def arrays(where):
    if where == "pyro":
        return pytest.importorskip("torch").tensor
    return jnp.asarray


@pytest.mark.parametrize("where", ["numpyro", "pyro"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_row_sees_its_own_scales(where, structure):
    """As a loop over the rows, each with an ordinary weight."""
    array, given = arrays(where), {}

    def noise(p, name, shape):
        given[name] = RNG.uniform(0.5, 1.5, (ROWS, *shape))
        return PerRow(array(given[name]))

    p = language(where)
    w = STRUCTURES[structure](p, "s", noise, W.shape) * array(W)
    for n in range(ROWS):
        row = STRUCTURES[structure](p, "s", lambda p, name, shape, n=n: array(given[name][n]), W.shape) * array(W)
        np.testing.assert_allclose(
            np.asarray(linear(array(H), w))[n], np.asarray(array(H)[n] @ row), rtol=1e-4, atol=1e-5
        )


def test_numbers_and_arrays_on_either_side():
    scale = PerRow(jnp.asarray(RNG.uniform(size=(ROWS, IN))))[:, None]
    expected = linear(jnp.asarray(H), scale * jnp.asarray(W))
    for weight in (
        jnp.asarray(W) * scale,
        2.0 * scale * jnp.asarray(W / 2),
        scale * jnp.asarray(2.0) * jnp.asarray(W / 2),
    ):
        np.testing.assert_allclose(linear(jnp.asarray(H), weight), expected, rtol=1e-4, atol=1e-5)
    assert scale.shape == (IN, 1) and (scale * jnp.asarray(W)).shape == (IN, OUT)


@pytest.mark.parametrize("where", ["numpyro", "pyro"])
@pytest.mark.parametrize("structure", ["ard", "add", "ard_add", "output"])
def test_every_image_sees_its_own_scales_of_the_channels(where, structure):
    """As a loop over the images, each with an ordinary kernel."""
    array, given, p = arrays(where), {}, language(where)
    images, kernel = RNG.normal(size=(IN, 8, 7, ROWS)), RNG.normal(size=(3, 2, IN, OUT))

    def noise(p, name, shape):
        given[name] = RNG.uniform(0.5, 1.5, (ROWS, *shape))
        return PerRow(array(given[name]))

    found = conv(p.xp, array(images), STRUCTURES[structure](p, "s", noise, kernel.shape) * array(kernel))
    for n in range(ROWS):
        scale = STRUCTURES[structure](p, "s", lambda p, name, shape, n=n: array(given[name][n]), kernel.shape)
        one = conv(p.xp, array(images[..., n : n + 1]), scale * array(kernel))
        np.testing.assert_allclose(np.asarray(found)[..., n], np.asarray(one)[..., 0], rtol=1e-4, atol=1e-5)


def test_a_kernel_has_no_scales_of_each_rows_own_for_its_weights():
    kernel, scale = jnp.ones((3, 3, IN, OUT)), PerRow(jnp.ones((ROWS, 3, 3, IN, OUT)))
    with pytest.raises(TypeError, match="by its input or by its output units"):
        scale * kernel


@pytest.mark.parametrize("where", ["numpyro", "pyro"])
def test_scales_of_bernoulli_noise_are_stochastic_depth(where):
    """ADD with Bernoulli scales and ReLU: h + tau relu(h W) is h + relu(h tau W), for every tau (Huang et al. 2016)."""
    from noisezoo.models.networks import residual_mlp
    from noisezoo.models.ppl.programs import trace

    array = arrays(where)
    x = array(RNG.normal(size=(ROWS, IN)).astype(np.float32))
    weight, network = prior(NOISES["bernoulli"](0.5), "inner_add"), residual_mlp(OUT, OUT, OUT, bias=False)

    def program(x):
        p = language(where)
        return p.deterministic("out", network(p, x, weight, 1))

    kept = set()
    for seed in range(20):
        sites = {
            name: np.asarray(s["value"])
            for name, s in trace(program, seed, x).items()
            if s["type"] != "plate" and s.get("value") is not None
        }
        h = np.maximum(np.asarray(x) @ (sites["layer0.scale"][:, None] * sites["layer0.base"]), 0)
        for layer in (1, 2):
            tau = float(sites[f"layer{layer}.scale"])
            kept.add((layer, tau))
            h = h + tau * np.maximum(h @ sites[f"layer{layer}.base"], 0)
        expected = h @ (sites["layer3.scale"][:, None] * sites["layer3.base"])
        np.testing.assert_array_equal(np.abs(sites["out"] - expected) <= 1e-4 * (1 + np.abs(expected)), True)
    assert kept == {(1, 0.0), (1, 1.0), (2, 0.0), (2, 1.0)}


def test_a_layer_that_is_dropped_hands_its_input_on_only_without_biases():
    """With them it still adds relu(b): why a network for stochastic depth has none."""
    from noisezoo.models.networks import residual_mlp
    from noisezoo.models.ppl.programs import simulate

    x = jnp.asarray(RNG.normal(size=(ROWS, IN)), jnp.float32)
    sites = {}
    for bias in (True, False):
        net = residual_mlp(OUT, OUT, bias=bias)

        def program(x, net=net):
            return net(language("numpyro"), x, prior(NOISES["half_cauchy"]()), 1)

        sites[bias] = set(simulate(program, 0, x))
    assert sites[True] - sites[False] == {f"layer{i}.bias" for i in range(3)}


def test_the_network_need_not_know():
    """An mlp under masks of each row's own gives what as many networks with one mask give."""
    masks = [RNG.integers(0, 2, (ROWS, n)).astype(float) for n in (IN, OUT)]
    weights = [W, RNG.normal(size=(OUT, 1))]

    def values(n=None):
        layers = iter(zip(masks, weights, strict=True))

        def weight(p, name, shape):
            mask, w = next(layers)
            return (PerRow(jnp.asarray(mask))[:, None] if n is None else jnp.asarray(mask[n])[:, None]) * jnp.asarray(w)

        return weight

    p, net = language("numpyro"), mlp(OUT, bias=False)
    whole = net(p, jnp.asarray(H), values(), 1)
    for n in range(ROWS):
        np.testing.assert_allclose(whole[n], net(p, jnp.asarray(H[n : n + 1]), values(n), 1)[0], rtol=1e-4, atol=1e-5)
