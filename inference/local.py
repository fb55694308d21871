"""The mean-field ELBO with weights that are not sampled, in NumPyro, and `svi` with it.

A guide may put an unsampled weight (`models.local`) at a site; the program's layers act with it.  Such a site has no
value, so it counts by its closed-form divergence alone.  Where all sites have values this is the objective of NumPyro's
`TraceMeanField_ELBO`, with a weight on the divergences.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
import optax
from numpyro import handlers
from numpyro.distributions.kl import kl_divergence
from numpyro.distributions.util import scale_and_mask
from numpyro.infer import SVI as NumPyroSVI
from numpyro.infer.elbo import ELBO
from numpyro.infer.gibbs import prototype_trace
from numpyro.primitives import Messenger

from ..models.local import Unsampled
from ..models.ppl import language
from . import normals, scales
from .algorithm import Algorithm, of_guide
from .random import normal, quick
from .target import Sites, draw_rows, kept, on_rows

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
        one = partial(parts, params=param_map, model=model, guide=guide, args=args, kwargs=kwargs)
        found = particles(one, rng_key, self.num_particles)
        return {"loss": self.kl_weight * found.kl - found.log_lik, "mutable_state": None}


def particles(one: Callable, key: Any, number: int) -> Parts:
    """The mean of ``one(key)`` over so many keys."""
    if number == 1:
        return one(key)
    return jax.tree.map(jnp.mean, jax.vmap(one)(jax.random.split(key, number)))


def parts(key: Any, params: dict, model: Callable, guide: Callable, args: Any, kwargs: Any) -> Parts:
    """One draw of the guide and what the program makes of it; sampled sites count by log q - log p."""
    key_model, key_guide = jax.random.split(key)
    q = handlers.trace(handlers.substitute(Seeds(guide, key_guide), data=params)).get_trace(*args, **kwargs)
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


class Seeds(Messenger):
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


class LocalNormal(dist.Normal):
    """A normal whose draw is the unsampled weight."""

    flipout = False

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return Unsampled(self.loc, self.scale, partial(normal, key), self.flipout)


class FlipoutNormal(LocalNormal):
    """A normal whose draw is the unsampled weight, to be perturbed alike in all rows up to signs."""

    flipout = True


LAWS = {"local": LocalNormal, "em": LocalNormal, "flipout": FlipoutNormal}


class State(NamedTuple):
    """NumPyro's optimiser state: the number of the step, and the parameters with Adam's moments."""

    optimiser: Any


def algorithm(config: Any, model: Callable, found: Sites, optimiser: optax.GradientTransformation) -> Algorithm:
    """Bind the guides ``local``, ``flipout`` and ``em`` to a NumPyro program; `config` is an `SVI`."""
    program, known = on_rows(model), {}

    def guide_of(unsampled: Any) -> Callable:
        def guide(x: Any, y: Any, rows: Any = None) -> None:
            choose = scales.chosen(model, config.sweeps, config.kl == "sum", x, y) if config.guide == "em" else None
            normals.sample(language("numpyro"), layout(model, found, x, y), config, _start(known), unsampled, choose)

        return guide

    guide, sampled = guide_of(LAWS[config.guide]), guide_of(None)
    svi: Any = NumPyroSVI(program, guide, optimiser, LocalMeanField_ELBO())

    def init(key: Any, x: Any, y: Any) -> State:
        sites = layout(model, found, x, y)
        normals.report_unregistered(sites)
        known.update(normals.means(config.start, sites) if config.start else {})
        return State(svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size)).optim_state)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        key, key_rows = jax.random.split(key)
        rows = draw_rows(key_rows, x.shape[0], config.batch_size)
        weight = config.kl_weight * ramp(state.optimiser[0], config.pretrain, config.kl_warmup)
        if config.kl == "mean":
            weight *= x.shape[0] / normals.weights(layout(model, found, x, y))

        def loss(params: dict) -> tuple[Any, Parts]:
            one = partial(
                parts, params=svi.constrain_fn(params), model=program, guide=guide, args=(x, y, rows), kwargs={}
            )
            both = particles(one, key, config.particles)
            return weight * both.kl - both.log_lik, both

        (value, both), new = svi.optim.eval_and_update(loss, state.optimiser)
        return State(new), {"loss": value, "log_lik": both.log_lik, "kl": both.kl}

    def run(key: Any, state: State, x: Any, y: Any) -> dict:
        params = svi.constrain_fn(svi.optim.get_params(state.optimiser))
        return handlers.trace(handlers.substitute(handlers.seed(sampled, key), data=params)).get_trace(x, y)

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        latent = {name: site["value"] for name, site in run(key, state, x, y).items() if name in found.latent}
        params = svi.constrain_fn(svi.optim.get_params(state.optimiser))
        traced = handlers.trace(handlers.substitute(handlers.seed(model, key), data={**params, **latent}))
        made = {k: s["value"] for k, s in traced.get_trace(x[:1], y[:1]).items() if s["type"] == "deterministic"}
        return kept({**latent, **made}), {}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        laws = {name: s["fn"] for name, s in run(jax.random.PRNGKey(0), state, x, y).items() if s["type"] == "sample"}
        told: dict[str, Any] = {k: laws[k] for k in normals.told(layout(model, found, x, y), config)}
        told = {k: law.base_dist if isinstance(law, dist.Independent) else law for k, law in told.items()}
        return {k: law.loc for k, law in told.items()}, {k: law.scale for k, law in told.items()}

    return of_guide(config, init, step, draw, moments=moments, method="sequential")


def ramp(step: Any, pretrain: int, warmup: int) -> Any:
    """The weight of the divergence at a step: 0 for `pretrain` steps, then linear to 1 over `warmup` steps."""
    return jnp.clip((step - pretrain + 1) / max(warmup, 1), 0.0, 1.0)


def layout(model: Callable, found: Sites, x: Any, y: Any) -> dict[str, normals.Site]:
    """What the guide needs to know of the latent sites; weights of a layer may wait if their divergence is known."""
    sites = {}

    def look(x: Any, y: Any) -> None:
        trace = prototype_trace(model, jax.random.PRNGKey(0), (x, y), {})
        latent = {name: trace[name] for name in found.latent}
        sites.update(normals.layout(language("numpyro"), latent, dist.biject_to, kl_divergence))

    with handlers.block():  # the guide that asks is being traced itself
        jax.eval_shape(look, x[:1], y[:1])  # abstractly: no number is computed
    return sites


def _start(known: dict[str, Any]) -> Callable:
    """Initial values of the guide's parameters: those that are known, else normal draws."""

    def start(name: str, shape: tuple[int, ...], mean: float, sd: float) -> Callable:
        return lambda key: jnp.asarray(known[name]) if name in known else mean + sd * jax.random.normal(key, shape)

    return start
