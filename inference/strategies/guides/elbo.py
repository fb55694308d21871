"""The mean-field ELBO with weights that are not sampled, in NumPyro.

A guide may put an unsampled weight (`unsampled.local_reparameterisation`) at a site; the program's layers act with it.
Such a site has no value, so it counts by its closed-form divergence alone.  Where all sites have values this is the
objective of NumPyro's `TraceMeanField_ELBO`, with a weight on the divergences.

See ``docs/gotchas.md#the-elbo-of-weights-that-are-not-drawn``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.distributions.kl import kl_divergence
from numpyro.distributions.util import scale_and_mask
from numpyro.infer.elbo import ELBO
from numpyro.infer.util import log_density
from numpyro.primitives import Messenger

from ...target.random import quick

MOST_SITES = 256  # of a guide


class Parts(NamedTuple):
    """The two parts of an ELBO, scalars in nats: the expected log likelihood of all rows, and the divergence."""

    log_lik: Any
    kl: Any


class LocalMeanField_ELBO(ELBO):
    """For `numpyro.infer.SVI`: minus the ELBO, the divergence multiplied by `kl_weight`."""

    def __init__(self, num_particles: int = 1, kl_weight: Any = 1.0) -> None:
        self.kl_weight = kl_weight
        super().__init__(num_particles=num_particles)

    def loss_with_mutable_state(self, rng_key: Any, param_map: dict, model: Any, guide: Any, *args: Any, **kwargs: Any):
        particle = partial(parts, params=param_map, model=model, guide=guide, args=args, kwargs=kwargs)
        elbo = particles(particle, rng_key, self.num_particles)
        return {"loss": self.kl_weight * elbo.kl - elbo.log_lik, "mutable_state": None}


class SampledELBO(ELBO):
    """For `numpyro.infer.SVI`: minus log p - log q of draws of the guide, terms summed in the order of the program.

    It is NumPyro's `Trace_ELBO`, which sums in the order of a set of names: another one in every process, so that its
    rounding differs from run to run, and nothing compiled is found again.
    """

    def loss_with_mutable_state(self, rng_key: Any, param_map: dict, model: Any, guide: Any, *args: Any, **kwargs: Any):
        def particle(key: Any) -> Any:
            key_model, key_guide = jax.random.split(key)
            log_q, q = log_density(handlers.seed(guide, key_guide), args, kwargs, param_map)
            log_p, _ = log_density(handlers.replay(handlers.seed(model, key_model), q), args, kwargs, param_map)
            return log_p - log_q

        return {"loss": -particles(particle, rng_key, self.num_particles), "mutable_state": None}


class PathELBO(ELBO):
    """For `numpyro.infer.SVI`: minus log p - log q of draws of a guide over one flat vector, its entropy term without
    the score, whose mean is zero: at the posterior itself the gradient then has no variance.

    Source: Roeder, Wu & Duvenaud (2017).  A flow would have to be inverted for that, and keeps the score.

    number : ``rows -> how many draws``, of a program whose arguments begin with x, y and the rows of a minibatch.
    """

    def __init__(self, number: Callable[[int], int]) -> None:
        self.number = number
        super().__init__()

    def loss_with_mutable_state(self, rng_key: Any, param_map: dict, model: Any, guide: Any, *args: Any, **kwargs: Any):
        law, still = (posterior(guide, p) for p in (param_map, jax.lax.stop_gradient(param_map)))
        x, _, rows = args[:3]
        number = self.number((x if rows is None else rows).shape[0])

        def particle(key: Any) -> Any:
            if isinstance(law, dist.TransformedDistribution):
                u, intermediates = law.sample_with_intermediates(key)
                log_q = law.log_prob(u, intermediates)
            else:
                u: Any = law.sample(key)
                log_q = still.log_prob(u)
            return log_density(handlers.substitute(model, data={"u": u}), args, kwargs, param_map)[0] - log_q

        return {"loss": -particles(particle, rng_key, number), "mutable_state": None}


def posterior(guide: Any, params: dict) -> Any:
    """The law of the flat vector of one of NumPyro's continuous autoguides."""
    law = guide.get_posterior(params)
    return law if law.event_dim else law.to_event(1)


def symmetrised_divergence(law: Callable, size: int, draws: int = 128) -> Callable[[Any, Any], Any]:
    """``(params, params) -> KL(p, q) + KL(q, p)``, in nats for each of `size` numbers; by so many draws of each law
    where there is no closed form."""

    def one_way(p: Any, q: Any) -> Any:
        try:
            return kl_divergence(p, q)
        except NotImplementedError:
            values = p.sample(jax.random.PRNGKey(0), (draws,))
            return jnp.mean(p.log_prob(values) - q.log_prob(values))

    def distance(params: Any, others: Any) -> Any:
        p, q = law(params), law(others)
        return jnp.abs(one_way(p, q) + one_way(q, p)) / size

    return distance


def particles(particle: Callable, key: Any, number: int) -> Any:
    """The mean of ``one(key)`` over so many keys."""
    if number == 1:
        return particle(key)
    return jax.tree.map(jnp.mean, jax.vmap(particle)(jax.random.split(key, number)))


def parts(key: Any, params: dict, model: Callable, guide: Callable, args: Any, kwargs: Any) -> Parts:
    """One draw of the guide and what the program makes of it; sampled sites count by log q - log p."""
    key_model, key_guide = jax.random.split(key)
    q = handlers.trace(handlers.substitute(OneSplit(guide, key_guide), data=params)).get_trace(*args, **kwargs)
    replayed = handlers.replay(handlers.seed(model, key_model), q)
    p = handlers.trace(handlers.substitute(replayed, data=params)).get_trace(*args, **kwargs)
    log_lik = kl = jnp.zeros(())
    for name, site in p.items():
        if site["type"] != "sample":
            continue
        if site["infer"].get("guide") == "point":  # its law is constant in what the program uses of it
            continue
        if not site["is_observed"]:
            kl += _divergence(q[name], site)
        elif isinstance(site["fn"], dist.Unit):  # a factor belongs to the prior
            kl -= _log_prob(site)
        else:
            log_lik += _log_prob(site)
    kl += sum(_log_prob(site) for name, site in q.items() if site["type"] == "sample" and name not in p)  # auxiliary
    return Parts(log_lik, kl)


def _divergence(q: dict, p: dict) -> Any:
    try:
        return jnp.sum(scale_and_mask(kl_divergence(q["fn"], p["fn"]), scale=q["scale"]))
    except NotImplementedError:
        return _log_prob(q) - _log_prob(p)


def _log_prob(site: dict) -> Any:
    return jnp.sum(scale_and_mask(site["fn"].log_prob(site["value"]), scale=site["scale"]))


class OneSplit(Messenger):
    """As `handlers.seed`, but all keys come from one split: a chain of splits costs as much as a small net's step.

    Laws that are drawn in one pass get a `quick` one.
    """

    def __init__(self, fn: Any, key: Any) -> None:
        self.keys = iter(jax.random.split(key, MOST_SITES))
        super().__init__(fn)

    def process_message(self, msg: Any) -> None:
        draws = msg["type"] in ("sample", "plate", "prng_key", "control_flow") and msg["value"] is None
        if draws and msg["kwargs"]["rng_key"] is None:
            msg["kwargs"]["rng_key"] = next(self.keys, None)
            if msg["kwargs"]["rng_key"] is None:
                raise ValueError(f"a guide of more than {MOST_SITES} random sites; raise MOST_SITES in {__name__}")
            if _in_one_pass(msg.get("fn")):
                msg["kwargs"]["rng_key"] = quick(msg["kwargs"]["rng_key"])


def _in_one_pass(law: Any) -> bool:
    while hasattr(law, "base_dist"):
        law = law.base_dist
    laws = (dist.Normal, dist.Uniform, dist.BernoulliProbs, dist.BernoulliLogits)
    return isinstance(law, laws) or getattr(law, "in_one_pass", False)
