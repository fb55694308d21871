"""Models from words: a noise, a network and a task by name, or a noise from a file of the user's own.

>>> str(noise("half_cauchy:scale=0.5"))
'half_cauchy(scale=0.5)'
>>> noise("half_cauchi")  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: unknown noise 'half_cauchi'; did you mean 'half_cauchy'? Known: bernoulli, gaussian, ...
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import unknown
from . import likelihoods
from .networks import NETWORKS, mlp
from .networks.layers import Network
from .noises import NOISES, Noise
from .papers import direction_magnitude, empirical_bayes, scale_mixture, sparse_vd, structured_shrinkage
from .user_file import from_file
from .weights import direction_noise, parametrisation, weight_norm
from .weights.parametrisation import Prior
from .weights.structure import STRUCTURES, Structure

FIXED = {"linear": mlp, **{name: f for name, f in NETWORKS.items() if not inspect.signature(f).parameters}}
# how to write a network, and what it is
EXAMPLES = {
    "linear": "no hidden layer: regression, or logistic regression",
    "mlp:50": "a perceptron with hidden layers of these widths",
    "mlp:50-50,activation=relu": "tanh (the default) or relu; bias=0 for no biases",
    "residual_mlp:50-50": "h + act(h W + b) wherever a layer keeps its width; relu is the default",
    "lenet_300_100": "a perceptron of 300 and 100 ReLU units",
    "lenet5": "two convolutions and two dense layers, for images such as MNIST's",
    "alexnet": "five convolutions and two dense layers, for images such as CIFAR-10's",
    "vgg": "13 convolutions and two dense layers, normalised, for images such as CIFAR-10's",
}
ROTATIONS = {
    "projected": "a normal of variance alpha for every entry, projected back to the sphere",
    "tangent": "the same in the tangent space",
    "tangent_as_released": "the same as the code of the thesis has it, by mistake nearly projected",
    "rotation_normal": "a rotation in a random plane, its angle a truncated normal of variance alpha",
    "rotation_beta": "the same, its angle a stretched Beta(alpha, alpha)",
}
# priors of whole weights, the papers' own among them: their structure and form are theirs to know
PRIORS: dict[str, Callable[..., Prior]] = {
    "normal": parametrisation.normal,
    "scale_mixture": scale_mixture.prior,
    "structured_shrinkage": structured_shrinkage.prior,
    "student_t": empirical_bayes.student_t,
    "sparse_vd": sparse_vd.prior,
    "empirical_bayes": empirical_bayes.prior,
    "weight_norm": weight_norm.prior,
    **{name: partial(direction_noise.named_direction_noise, name) for name in ROTATIONS},
    "direction_magnitude": direction_magnitude.prior,
}
WEIGHTS = ("normal", "sparse_vd", "empirical_bayes")  # of those, the ones whose sites are the weights
PRIOR_MEANINGS = {
    "normal": "no noise: every weight N(0, sigma0^2), by default with sigma0 = 1 / sqrt(fan_in)",
    "scale_mixture": "one scale for each input unit; scale=bernoulli or any noise, form=hierarchical for EM",
    "structured_shrinkage": "ARD, ADD or ARD-ADD of a residual network: structure=ard, add or ard_add; scale=any noise",
    "student_t": "every weight has a precision of its own, drawn from Gamma(a, rate b); form=marginal: Student t",
    "sparse_vd": "sparse variational dropout: p(w) proportional to 1 / abs(w); approximate=1 for the published fit",
    "empirical_bayes": "every weight has a precision of its own that the data choose, under Gamma(a, rate b)",
    "weight_norm": "weight-normalised layers without noise; over=inputs for a magnitude of each input unit",
    **{name: f"noise on directions of weights, on=activations or both: {what}" for name, what in ROTATIONS.items()},
    "direction_magnitude": "weight vectors with a posterior of angle and magnitude; magnitude=half_cauchy for NUTS",
}
FORM_MEANINGS = {
    "expanded": "scale and z ~ N(0, sigma0^2); the weight is scale * z",
    "hierarchical": "scale, then the weight ~ N(0, scale^2 sigma0^2)",
    "marginal": "the weight alone, its scale integrated out (where that has a closed form)",
    "weight_norm": "scale * g v / norm(v): weight-normalised layers, of magnitude g",
    "auto": "expanded or hierarchical, as a short pilot run decides for each layer",
    "layer0=hierarchical,layer1=expanded": "a form for each layer",
}
ALIKE = ("expanded", "hierarchical", "marginal")  # forms that give a weight the same law
TASKS = ("regression", "binary", "categorical")


def noise(spec: str) -> Noise:
    """The noise that `spec` names: ``half_cauchy``, ``half_cauchy:scale=0.5`` or ``my_noise.py:function``.

    Raises ValueError for unknown names, with the nearest known ones, and for bad settings; FileNotFoundError and
    ImportError for a file that is not there or does not import.
    """
    if ".py:" in spec or spec.endswith(".py"):
        return from_file(spec)
    name, _, text = spec.partition(":")
    if name in PRIORS:
        guide = "dropout" if name in ROTATIONS else "local"
        raise ValueError(
            f"{name} is a prior of weights, not a noise; take it to noisezoo compare, with svi:guide={guide}"
        )
    if name not in NOISES:
        raise unknown("noise", name, [*NOISES, *PRIORS])
    known = inspect.signature(NOISES[name]).parameters
    return NOISES[name](**_values(f"noise {name}", text, known))


def network(spec: str) -> Network:
    """The network that `spec` names: ``mlp:50``, ``mlp:50-50,activation=relu``, ``residual_mlp:50-50`` or ``linear``.

    Raises ValueError for unknown names, with the nearest known ones, and for bad widths.
    """
    make, sizes, settings = _network(spec)
    return make(*sizes, **settings)


def _network(spec: str) -> tuple[Callable[..., Network], list[int], dict[str, Any]]:
    """The function of a network, its widths, and its other settings."""
    name, _, text = spec.partition(":")
    if name in FIXED:
        if text:
            raise ValueError(f"the network {name} has no settings, got {text!r}; for hidden layers write mlp:50")
        return FIXED[name], [], {}
    if name not in NETWORKS:
        raise unknown("network", name, {**NETWORKS, **FIXED})
    widths, _, rest = text.partition(",")
    if not widths:
        raise ValueError(f"network {name} needs the widths of its hidden layers, as in {name}:50 or {name}:50-50")
    try:
        sizes = [int(width) for width in widths.split("-")]
    except ValueError:
        raise ValueError(f"network {name}: widths are whole numbers, as in {name}:50-50, got {widths!r}") from None
    settings: dict[str, Any] = dict(_settings(f"network {name}", rest, ["activation", "bias"]))
    if settings.get("bias", "1") not in ("0", "1"):
        raise ValueError(f"network {name}: bias must be 0 or 1, got {settings['bias']!r}")
    if "bias" in settings:
        settings["bias"] = settings["bias"] == "1"
    return NETWORKS[name], sizes, settings


def structure(name: str) -> Structure:
    """The structure called `name`; raises ValueError with the nearest known ones."""
    if name not in STRUCTURES:
        raise unknown("structure", name, STRUCTURES)
    return STRUCTURES[name]


def prior(spec: str, structure: str = "ard", form: str = "expanded", sigma0: float | None = None) -> Prior:
    """The prior of weights that `spec` names: a noise under a structure in a form, or a prior of `PRIORS`.

    Raises ValueError as `noise` and `parametrisation.prior` do, and for what a prior of `PRIORS` does not have.
    """
    name, _, text = spec.partition(":")
    if name not in PRIORS:
        width = {} if sigma0 is None else {"sigma0": sigma0}
        return parametrisation.prior(noise(spec), structure, form, **width)
    if (structure, form, sigma0) != ("ard", "expanded", None):
        raise ValueError(f"{name} is a prior of whole weights: leave structure, form and sigma0 out")
    known = inspect.signature(PRIORS[name]).parameters
    values = _values(f"prior {name}", text, known)
    if "alpha" in known and "alpha" not in values:
        raise ValueError(f"prior {name} needs its alpha, as in {name}:alpha=0.1")
    return PRIORS[name](**values)


def described(spec: str, structure: str) -> str:
    """A prior in a few words: ``"half_cauchy(scale=0.5) ard"``, ``"empirical_bayes(a=0.51,b=1e-8)"``."""
    name, _, text = spec.partition(":")
    if name in PRIORS:
        return f"{name}({text})" if text else name
    return f"{noise(spec)} {structure}"


def identity(
    prior: str, network: str, task: str, classes: int, structure: str = "ard", form: str = "expanded"
) -> dict[str, str]:
    """What tells one posterior from another, data apart: the law of the weights, the network and the likelihood.

    Every setting is said, at its default or not, so that two spellings of one model are the same; a form is said only
    where it is more than another way to sample the same law.  A prior in a user's file goes by the file.
    """
    name, _, text = prior.partition(":")
    if name in PRIORS:
        known = inspect.signature(PRIORS[name]).parameters
        defaults = {key: parameter.default for key, parameter in known.items()}
        settings = defaults | _values(f"prior {name}", text, known)
        if settings.get("form") in ALIKE:
            del settings["form"]
        weights = f"{name}({', '.join(f'{k}={v}' for k, v in settings.items())})"
    else:
        weights = f"{prior if '.py' in prior else noise(prior)} {structure}"
        weights += "" if form in ALIKE else f" {form}"
    make, sizes, settings = _network(network)
    defaults = {k: p.default for k, p in inspect.signature(make).parameters.items() if p.default is not p.empty}
    described = ", ".join(f"{k}={v}" for k, v in {"widths": sizes, **defaults, **settings}.items())
    precision = inspect.signature(likelihoods.gaussian).parameters["precision"].default
    likelihood = f"{task}, precision {precision}" if task == "regression" else f"{task}, {classes} classes"
    return {"weights": weights, "network": f"{make.__name__}({described})", "likelihood": likelihood}


def model(
    prior: Prior, network: Network, task: str, classes: int = 2, precision: float | None = None
) -> Callable[..., Any]:
    """The model ``(x, y=None, batch_size=None) -> f`` of these parts, with the likelihood of the `task`.

    `task` is ``"regression"`` (Gaussian, with this `precision` of the standardised target, or a learned one),
    ``"binary"`` (Bernoulli) or ``"categorical"`` with so many `classes`.  Raises ValueError where the parts do not go
    together.
    """
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if precision is not None and task != "regression":
        raise ValueError(f"precision belongs to a regression, and the task is {task}; leave it out")
    if task == "regression":
        return (
            likelihoods.gaussian(network, prior)
            if precision is None
            else likelihoods.gaussian(network, prior, precision)
        )
    if task == "binary":
        return likelihoods.bernoulli(network, prior)
    return likelihoods.categorical(network, prior, classes)


def outputs_of_task(task: str, classes: int) -> int:
    """Outputs of a network: one for each class of more than two, else one; raises ValueError for an unknown task."""
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    return classes if task == "categorical" else 1


def _settings(what: str, text: str, known: Any) -> list[tuple[str, str]]:
    """``"a=1,b=2"`` as pairs, their names among the `known`."""
    pairs = []
    for token in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in token.partition("="))
        if not (equals and value):
            raise ValueError(f"{what}: write a setting as name=value, not {token!r}")
        if key not in known:
            if not known:
                raise ValueError(f"{what} has no settings, got {key!r}")
            raise unknown(f"setting of {what}", key, known)
        if key in dict(pairs):
            raise ValueError(f"{what}: {key} is given twice")
        pairs.append((key, value))
    return pairs


def _values(what: str, text: str, known: Any) -> dict[str, Any]:
    """``"a=1,b=2"`` as numbers for the `known` parameters of a function; 0 or 1 where its default is a truth value.

    Text where the default is text.
    """
    numbers: dict[str, Any] = {}
    for key, value in _settings(what, text, known):
        if isinstance(known[key].default, str):
            numbers[key] = value
            continue
        try:
            numbers[key] = float(value)
        except ValueError:
            raise ValueError(f"{what}: {key} must be a number, got {value!r}") from None
        if isinstance(known[key].default, bool) and numbers[key] not in (0, 1):
            raise ValueError(f"{what}: {key} must be 0 or 1, got {value!r}")
    return numbers
