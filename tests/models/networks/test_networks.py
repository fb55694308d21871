"""Networks: convolutions, pools and normalisation against the libraries' own, published sizes, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models import likelihoods, networks, noises
from noisezoo.models.networks import convolutional, layers
from noisezoo.models.ppl import language as words
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import log_joint, simulate, trace
from noisezoo.models.unsampled.local_reparameterisation import Unsampled
from noisezoo.models.weights.parametrisation import prior
from numpyro import handlers

RNG = np.random.default_rng(0)
IMAGE_NETWORKS = {"lenet5": 16 * 16, "alexnet": 8 * 8 * 3, "vgg": 32 * 32 * 3}


@pytest.fixture
def thin_vgg(monkeypatch):
    """The VGG-like network with two groups of a few channels."""
    monkeypatch.setattr(convolutional, "VGG", ((2, 3), (4,)))


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def rows_last(x):
    """(rows, height, width, unit) and back: (unit, height, width, rows)."""
    return np.transpose(x, (3, 1, 2, 0))


def normal_prior(p, name, shape):
    """Independent N(0, 1 / fan_in) weights."""
    law = p.dist.Normal(0.0, float(np.prod(shape[:-1])) ** -0.5).expand(shape)
    return p.sample(f"{name}.weight", law.to_event(len(shape)))


CONVOLUTIONS = pytest.mark.parametrize(
    "kernel, padding",
    [((3, 3), "valid"), ((3, 3), "same"), ((5, 3), "same"), ((2, 4), "valid"), ((1, 1), "valid"), ((9, 1), "same")],
)


def value_and_gradients(f, h, w):
    """f at (h, w), and the gradients in both of the sum of its elements times fixed numbers."""
    z = f(jnp.asarray(h), jnp.asarray(w))
    to = jnp.asarray(np.random.default_rng(1).normal(size=z.shape), jnp.float32)
    return z, *jax.grad(lambda h, w: (f(h, w) * to).sum(), (0, 1))(jnp.asarray(h), jnp.asarray(w))


@CONVOLUTIONS
def test_a_convolution_is_that_of_jax(kernel, padding):
    x, w = normal(2, 7, 6, 3), normal(*kernel, 3, 4)

    def theirs(x, w):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (1, 1), padding.upper(), dimension_numbers=numbers)

    def ours(x, w):
        z = layers.conv(jnp, jnp.permute_dims(x, (3, 1, 2, 0)), w, padding)
        return jnp.permute_dims(z, (3, 1, 2, 0))

    for found, expected in zip(value_and_gradients(ours, x, w), value_and_gradients(theirs, x, w), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@CONVOLUTIONS
def test_a_convolution_is_that_of_torch(kernel, padding):
    torch = pytest.importorskip("torch")
    xp = words("pyro").xp
    x, w = (torch.tensor(v, requires_grad=True) for v in (normal(2, 7, 6, 3), normal(*kernel, 3, 4)))
    ours = layers.conv(xp, x.permute(3, 1, 2, 0), w, padding).permute(3, 1, 2, 0)
    theirs = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), padding=padding)
    theirs = theirs.permute(0, 2, 3, 1)
    to = torch.tensor(np.random.default_rng(1).normal(size=tuple(ours.shape)), dtype=torch.float32)
    both = [(z, *torch.autograd.grad((z * to).sum(), (x, w))) for z in (ours, theirs)]
    for found, expected in zip(*both, strict=True):
        np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-4, atol=1e-5)


def test_a_flipped_kernel_is_another_convolution():
    h, w = jnp.asarray(normal(1, 5, 5, 1)), jnp.asarray(normal(3, 3, 1, 1))
    assert not np.allclose(layers.conv(jnp, h, w), layers.conv(jnp, h, w[::-1]))


@pytest.mark.parametrize(
    "kernel, padding, says",
    [
        ((2, 3), "same", "odd height and width, got 2 x 3"),
        ((6, 1), "valid", "a kernel of 6 x 1 does not fit into an image of 5 x 5"),
        ((3, 3), "sane", "did you mean 'same'"),
    ],
)
def test_a_bad_kernel_gets_one_sentence(kernel, padding, says):
    with pytest.raises(ValueError, match="^[^\n]+$") as raised:
        layers.conv(jnp, jnp.zeros((1, 5, 5, 2)), jnp.zeros((*kernel, 1, 1)), padding)
    assert says in str(raised.value)


@pytest.mark.parametrize("flipout", [False, True], ids=["local", "flipout"])
def test_a_convolution_with_an_unsampled_kernel(flipout):
    """Its mean and variance at every place are those that sampling the kernel would give."""
    x, draws = normal(2, 4, 4, 2), 20_000
    loc, scale = normal(3, 3, 2, 3), np.exp(normal(3, 3, 2, 3) / 2)
    h = jnp.asarray(rows_last(x))

    def one(key):
        w = Unsampled(jnp.asarray(loc), jnp.asarray(scale), partial(jax.random.normal, key), flipout)
        return layers.conv(jnp, h, w)

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), draws))
    mean = layers.conv(jnp, h, jnp.asarray(loc))
    variance = layers.conv(jnp, h**2, jnp.asarray(scale) ** 2)
    deviation = np.asarray(found - mean, np.float64)
    assert (np.abs(deviation.mean(0)) < 5 * np.sqrt(variance / draws)).all()
    error = (deviation**2).std(0) / np.sqrt(draws)
    assert (np.abs((deviation**2).mean(0) - variance) < 5 * error).all()
    assert not (np.abs((deviation**2).mean(0) - 1.1 * variance) < 5 * error).all()  # a wrong variance would be seen


def test_a_pool_is_that_of_torch():
    torch = pytest.importorskip("torch")
    x = normal(2, 7, 9, 3)
    expected = torch.nn.functional.max_pool2d(torch.tensor(x).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    for xp, h in ((jnp, jnp.asarray(rows_last(x))), (words("pyro").xp, torch.tensor(rows_last(x)))):
        np.testing.assert_array_equal(rows_last(np.asarray(layers.max_pool(xp, h, 2))), expected)
    np.testing.assert_array_equal(layers.max_pool(jnp, jnp.asarray(rows_last(x)), 3), pool_by_hand(rows_last(x), 3))


def pool_by_hand(h, size):
    """The last row and column that do not fill a block are dropped."""
    height, width = h.shape[1] // size, h.shape[2] // size
    places = [(i * size, j * size) for i in range(height) for j in range(width)]
    blocks = [h[:, i : i + size, j : j + size].max((1, 2)) for i, j in places]
    return np.stack(blocks, 1).reshape(h.shape[0], height, width, h.shape[3])


def made_up(program, x):
    """A value for every site that `program` samples, without sampling: positive for scales, small for weights."""
    shapes = jax.eval_shape(partial(simulate, program, 0), jnp.asarray(x))
    values = {k: normal(*v.shape) / float(np.prod(v.shape[-2:-1])) ** 0.5 for k, v in shapes.items()}
    values = {k: np.exp(v / 3) if k.endswith((".scale", ".gain")) else v for k, v in values.items()}
    recorded = {k.replace(end, ".weight") for k in values for end in (".base", ".row") if k.endswith(end)}
    return {k: v for k, v in values.items() if k not in ("f", "y", *recorded)}


def sites_of(net, x, out):
    """The weights, biases and gains of a network, made up."""
    return made_up(lambda x: net(ppl(x), x, normal_prior, out), x)


def with_sites(net, sites, out):
    """The network as a function x -> f, compiled, with these values of its sites."""
    p = words("numpyro")._replace(sample=lambda name, law: sites[name])
    return jax.jit(lambda x: net(p, x, lambda p, name, shape: sites[f"{name}.weight"], out))


def test_lenet5_by_hand():
    """Images through torch's own layers, in the order that the published network has them: bias, ReLU, then pool."""
    torch = pytest.importorskip("torch")
    fn, x = torch.nn.functional, normal(3, 784)
    sites = sites_of(networks.lenet5(), x, 10)
    f = with_sites(networks.lenet5(), sites, 10)(x)
    w = {k: torch.tensor(v) for k, v in sites.items()}
    h = torch.tensor(x).reshape(3, 1, 28, 28)
    for name in ("layer0", "layer1"):
        z = fn.conv2d(h, w[f"{name}.weight"].permute(3, 2, 0, 1), w[f"{name}.bias"])
        h = fn.max_pool2d(fn.relu(z), 2)
    h = h.permute(0, 2, 3, 1).reshape(3, -1)  # the unit last
    h = fn.relu(h @ w["layer2.weight"] + w["layer2.bias"])
    np.testing.assert_allclose(f, h @ w["layer3.weight"] + w["layer3.bias"], rtol=1e-4, atol=1e-5)


def test_the_channels_of_an_image_are_last():
    """A feature column of a 32 x 32 x 3 image is (row, column, channel)."""
    x = normal(2, 32 * 32 * 3)
    h = convolutional._images(jnp, jnp.asarray(x), "vgg", 32)
    assert h.shape == (3, 32, 32, 2)
    for row, column, channel in ((0, 0, 1), (0, 1, 0), (1, 0, 2), (31, 30, 1)):
        np.testing.assert_array_equal(h[channel, row, column], x[:, (row * 32 + column) * 3 + channel])
    np.testing.assert_array_equal(convolutional._flat(jnp, h), x)


@pytest.mark.parametrize(
    "name, features, weights",
    [
        ("lenet_300_100", 784, 784 * 300 + 300 * 100 + 100 * 10),  # 266,200: LeCun et al. (1998)
        ("lenet5", 784, 430_500),  # Caffe's
        ("lenet5", 3072, 75 * 20 + 500 * 50 + 1250 * 500 + 500 * 10),
        ("alexnet", 3072, 9 * (3 * 64 + 64 * 192 + 192 * 384 + 384 * 256 + 256 * 256) + 4096 * 512 + 512 * 10),
        ("vgg", 3072, 14_977_728),  # 14.98 million
    ],
)
def test_the_number_of_weights(name, features, weights):
    """Counted without computing anything."""
    counts = {}

    def counting(p, site, shape):
        counts[site] = int(np.prod(shape))
        return p.xp.zeros(shape)

    def run(x):
        return handlers.seed(networks.NETWORKS[name](), 0)(ppl(x), x, counting, 10)

    assert jax.eval_shape(run, jnp.zeros((2, features))).shape == (2, 10)
    assert sum(counts.values()) == weights
    assert list(counts) == [f"layer{i}" for i in range(len(counts))]


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_rows_do_not_depend_on_each_other(name, thin_vgg):
    """What makes a likelihood of independent rows: an output is a function of its own row and the weights."""
    net, x = networks.NETWORKS[name](), jnp.asarray(normal(3, IMAGE_NETWORKS[name]))
    run = with_sites(net, sites_of(net, x, 2), 2)
    f, other = run(x), run(x.at[0].multiply(-1.0))
    np.testing.assert_allclose(run(x[1:2]), f[1:2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other[1:], f[1:], rtol=1e-4, atol=1e-5)
    assert not np.allclose(other[0], f[0], rtol=1e-2)


def test_normalisation_is_that_of_torch(language):
    torch = pytest.importorskip("torch")
    z, p = normal(4, 3, 3, 2), words(language)
    values = {"layer0.gain": normal(4), "layer0.bias": normal(4)}
    asarray = jnp.asarray if language == "numpyro" else torch.tensor
    laws = {}

    def sample(name, law):
        laws[name] = law
        return asarray(values[name])

    found = convolutional._normalised(p._replace(sample=sample), asarray(z), "layer0")
    assert (laws["layer0.gain"].mean == 1).all() and (laws["layer0.gain"].variance == 1).all()
    theirs = torch.nn.functional.layer_norm(torch.tensor(rows_last(z)), (3, 3, 4)).numpy()
    expected = rows_last(theirs * values["layer0.gain"] + values["layer0.bias"])
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-5)


def test_a_gain_for_every_normalised_layer():
    shapes = {}

    def run(x):
        sites = handlers.trace(handlers.seed(networks.vgg(), 0)).get_trace(ppl(x), x, normal_prior, 10)
        shapes.update({k: s["value"].shape for k, s in sites.items()})

    jax.eval_shape(run, jnp.zeros((2, 3072)))
    gains = {k: s for k, s in shapes.items() if k.endswith(".gain")}
    assert len(gains) == 14 and all(shapes[k.replace("gain", "bias")] == s for k, s in gains.items())
    assert shapes["layer12.weight"] == (3, 3, 512, 512) and shapes["layer14.weight"] == (512, 10)


@pytest.mark.parametrize(
    "name, structure, form",
    [("lenet5", "ard", "expanded"), ("lenet5", "iid", "hierarchical"), ("vgg", "ard", "marginal")],
)
def test_both_languages_agree(name, structure, form, thin_vgg):
    torch = pytest.importorskip("torch")
    weights = prior(noises.inverse_gamma(), structure, form)
    model = likelihoods.categorical(networks.NETWORKS[name](), weights, 3)
    x, y = normal(4, IMAGE_NETWORKS[name]), np.arange(4) % 3
    values = made_up(model, x)

    @jax.jit
    def ours(values, x, y):
        return log_joint(model, values, x, y), trace(model, 0, x, y, values=values)["f"]["value"]

    theirs = {k: torch.tensor(v) for k, v in values.items()}, torch.tensor(x), torch.tensor(y)
    found, f = ours(values, jnp.asarray(x), jnp.asarray(y))
    assert np.isfinite(float(found)) and np.ptp(f) > 0.1
    np.testing.assert_allclose(found, float(log_joint(model, *theirs)), rtol=1e-5)
    again = trace(model, 0, theirs[1], theirs[2], values=theirs[0])["f"]["value"]
    np.testing.assert_allclose(f, again, rtol=1e-4, atol=1e-5 * np.ptp(f))


@pytest.mark.parametrize(
    "name, features",
    [
        ("lenet5", 15 * 15),
        ("lenet5", 785),
        ("alexnet", 49),
        ("vgg", 784),
        ("vgg", 31 * 31 * 3),
        ("lenet5", 16 * 16 * 2),
    ],
)
def test_no_image_or_too_small(name, features):
    with pytest.raises(ValueError, match=f"^{name} needs square images of 1 or 3 channels [^\n]* got {features}$"):
        networks.NETWORKS[name]()(words("numpyro"), jnp.zeros((2, features)), normal_prior, 2)


@pytest.mark.parametrize("name, features", [("lenet5", 16 * 16), ("alexnet", 64), ("vgg", 1024)])
def test_the_smallest_image(name, features):
    shape = jax.eval_shape(
        lambda x: handlers.seed(networks.NETWORKS[name](), 0)(ppl(x), x, normal_prior, 2), jnp.zeros((3, features))
    ).shape
    assert shape == (3, 2)


def test_lenet_300_100_is_a_perceptron():
    assert networks.lenet_300_100() is networks.mlp(300, 100, activation="relu")
    assert networks.lenet5() is networks.lenet5()
