"""A law of a weight that need not integrate to one, in both languages: beside `ppl` the one file that knows them.

Some priors exist only through what they do to a posterior: 1 / abs(w), or a normal whose width the data choose.  Such a
law has a log density up to a constant, no draws, and a closed form for what a normal guide pays, registered as the
`kl_divergence` of its language, so that the mean-field ELBOs of NumPyro, of Pyro and of the zoo all find it.
"""

from functools import cache
from typing import Any

NO_DRAWS = "the {} prior is improper: it has no draws"


@cache
def unnormalised(language: str) -> Any:
    """The class ``Unnormalised(name, log_density, divergence, gradient=None)`` of a language: a law on the reals.

    `log_density` takes w, `divergence` takes (loc, scale) of a normal, and `gradient`, where it is cheaper than what
    differentiation finds, gives the derivatives of that by both; all are elementwise, in arrays of the language.
    Its ``sample`` raises NotImplementedError, as `ImproperUniform` does.
    """
    return _numpyro() if language == "numpyro" else _pyro()


def _numpyro() -> Any:
    import jax
    import jax.numpy as jnp
    from numpyro.distributions import Distribution, Normal, constraints
    from numpyro.distributions.kl import kl_divergence

    def with_gradient(f: Any, gradient: Any) -> Any:
        with_jvp = jax.custom_jvp(f)
        with_jvp.defjvp(lambda z, dz: (f(*z), sum(g * t for g, t in zip(gradient(*z), dz, strict=True))))
        return with_jvp

    class Unnormalised(Distribution):
        support: Any = constraints.real
        pytree_aux_fields = ("name", "log_density", "divergence")

        def __init__(self, name: str, log_density: Any, divergence: Any, gradient: Any = None) -> None:
            self.name, self.log_density = name, log_density
            self.divergence = divergence if gradient is None else with_gradient(divergence, gradient)
            super().__init__(batch_shape=(), event_shape=(), validate_args=False)

        def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
            raise NotImplementedError(NO_DRAWS.format(self.name))

        def log_prob(self, value: Any) -> Any:
            return self.log_density(value)

    dispatcher: Any = kl_divergence  # multipledispatch's

    @dispatcher.register(Normal, Unnormalised)
    def _(q: Any, p: Any) -> Any:
        return p.divergence(*jnp.broadcast_arrays(q.loc, q.scale))

    return Unnormalised


def _pyro() -> Any:
    import torch
    from pyro.distributions import Normal, TorchDistribution, constraints
    from torch.distributions import register_kl

    class WithGradient(torch.autograd.Function):
        """A function whose derivatives are given."""

        @staticmethod
        def forward(ctx: Any, f: Any, gradient: Any, loc: Any, scale: Any) -> Any:
            ctx.save_for_backward(*gradient(loc, scale))
            return f(loc, scale)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            by_loc, by_scale = ctx.saved_tensors
            return None, None, grads[0] * by_loc, grads[0] * by_scale

    class Unnormalised(TorchDistribution):
        support: Any = constraints.real
        arg_constraints: dict = {}

        def __init__(
            self, name: str, log_density: Any, divergence: Any, gradient: Any = None, batch_shape: Any = ()
        ) -> None:
            self.name, self.log_density, self.gradient = name, log_density, gradient
            self._divergence = divergence
            super().__init__(torch.Size(batch_shape), validate_args=False)

        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            return Unnormalised(self.name, self.log_density, self._divergence, self.gradient, batch_shape)

        def divergence(self, loc: Any, scale: Any) -> Any:
            if self.gradient is None:
                return self._divergence(loc, scale)
            return WithGradient.apply(self._divergence, self.gradient, loc, scale)

        def sample(self, sample_shape: Any = ()) -> Any:
            raise NotImplementedError(NO_DRAWS.format(self.name))

        def log_prob(self, value: Any) -> Any:
            return self.log_density(value)

    @register_kl(Normal, Unnormalised)
    def _(q: Any, p: Any) -> Any:
        return p.divergence(q.loc, q.scale)

    return Unnormalised
