"""What is no number where a number belongs, in the parts of a model."""

import inspect

import jax.numpy as jnp
import pytest
from noisezoo.errors import check_seed
from noisezoo.models.laws.directions import DIRECTIONS
from noisezoo.models.likelihoods import categorical, gaussian, soft_targets
from noisezoo.models.networks import mlp, residual_mlp
from noisezoo.models.noises import NOISES
from noisezoo.models.papers import empirical_bayes, structured_shrinkage
from noisezoo.models.weights import parametrisation
from noisezoo.models.weights.direction_noise import named_direction_noise

PRIOR = parametrisation.normal()
NUMBERS = [(f, name) for f in NOISES.values() for name in inspect.signature(f).parameters]
ASKED = {
    **{f"{f.__name__}: {name}": lambda v, f=f, name=name: f(**{name: v}) for f, name in NUMBERS},
    **{f"{law.__name__}: alpha": law for law in DIRECTIONS.values() if "alpha" in inspect.signature(law).parameters},
    "precision": lambda v: gaussian(mlp(), PRIOR, v),
    "precision, of a pair": lambda v: gaussian(mlp(), PRIOR, (1.0, v)),
    "precision, of a paper": lambda v: structured_shrinkage.model(precision=v),
    "classes": lambda v: categorical(mlp(), PRIOR, v),
    "classes, of soft targets": lambda v: soft_targets(mlp(), PRIOR, v),
    "temperature": lambda v: soft_targets(mlp(), PRIOR, 3, v),
    "empirical_bayes: a": lambda v: empirical_bayes.prior(a=v),
    "empirical_bayes: b": lambda v: empirical_bayes.prior(b=v),
    "sigma0": lambda v: parametrisation.prior(NOISES["half_cauchy"](), sigma0=v or "None"),
    "magnitude_alpha": lambda v: named_direction_noise(
        "projected", 0.1, magnitude="normal", magnitude_alpha=v or "None"
    ),
    "batch_size": lambda v: gaussian(mlp(), PRIOR)(jnp.ones((3, 1)), batch_size=v or "None"),
    "a seed": check_seed,
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("value", [None, "20", "many"])
def test_what_is_no_number_is_one_sentence(what, value):
    with pytest.raises(TypeError, match=f"^{what.partition(',')[0]} must be a (whole )?number, got"):
        ASKED[what](value)


@pytest.mark.parametrize("widths", [(None,), ("50",), (5, 2.5)])
def test_widths_that_are_no_numbers(widths):
    for network in (mlp, residual_mlp):
        with pytest.raises(ValueError, match="^widths must be positive integers, got"):
            network(*widths)


def test_a_pair_of_three():
    with pytest.raises(ValueError, match=r"^precision must be a number, or a pair \(a, b\) .*, got \(1.0, 2.0, 3.0\)"):
        gaussian(mlp(), PRIOR, (1.0, 2.0, 3.0))
