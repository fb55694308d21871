"""The array chooses the language: with the files of its own laws, the only one of ``models`` that imports a language.

A program asks ``p = ppl(x)`` and speaks only the words of :class:`PPL`.  A `jax.Array` (a tracer included) answers
with NumPyro, a `torch.Tensor` with Pyro.  There is no global backend and no environment variable.

>>> import jax.numpy as jnp
>>> ppl(jnp.ones(3)).name
'numpyro'
>>> import numpy as np
>>> ppl(np.ones(3))
Traceback (most recent call last):
    ...
TypeError: ppl() got a NumPy array; pass jax.numpy.asarray(x) for NumPyro or torch.as_tensor(x) for Pyro
"""

import sys
from functools import cache
from typing import Any, NamedTuple, Protocol

from .sphere import uniform_direction
from .symmetric_beta import symmetric_beta
from .unnormalised import unnormalised

PYRO_MISSING = "Pyro is not installed; install it with: pip install 'noisezoo[pyro]'"


class PPL(Protocol):
    """The words that a program may speak, with the meaning they have in Pyro and NumPyro alike."""

    @property
    def name(self) -> str:
        """``"numpyro"`` or ``"pyro"``."""
        ...

    @property
    def dist(self) -> Any:
        """The distributions module: same class names and keywords in both languages."""
        ...

    @property
    def xp(self) -> Any:
        """The array namespace of the Python array API standard."""
        ...

    def sample(self, name: str, fn: Any, /, *, obs: Any = None, infer: dict | None = None) -> Any:
        """A random site; returns its value."""
        ...

    def plate(self, name: str, size: int, /, *, subsample_size: int | None = None, dim: int | None = None) -> Any:
        """A context of conditionally independent rows, with minibatch scaling."""
        ...

    def subsample(self, data: Any, /, *, event_dim: int) -> Any:
        """The rows of `data` that the enclosing plate chose."""
        ...

    def param(self, name: str, init: Any, /, *, constraint: Any = None) -> Any:
        """A learnable value."""
        ...

    def deterministic(self, name: str, value: Any, /) -> Any:
        """Record a value under a name."""
        ...

    def factor(self, name: str, log_factor: Any, /) -> None:
        """Add a term to the log joint."""
        ...

    @property
    def unnormalised(self) -> Any:
        """The class of improper laws, ``(name, log_density, divergence)``: see `models.ppl.unnormalised`."""
        ...

    @property
    def truncated_normal(self) -> Any:
        """The class of truncated normals, ``(loc, scale, low, high)``: see `models.ppl.truncated_normal`."""
        ...

    @property
    def local_truncated_normal(self) -> Any:
        """The same, whose draw is not sampled yet: a `models.ppl.truncated_normal.UnsampledTruncatedNormal`."""
        ...

    @property
    def symmetric_beta(self) -> Any:
        """The laws Beta(alpha, alpha), ``(alpha)``: see `models.ppl.symmetric_beta`."""
        ...

    @property
    def uniform_direction(self) -> Any:
        """The class of laws of vectors with uniform directions, ``(shape, axes)``: see `models.ppl.sphere`."""
        ...


class _Language(NamedTuple):
    name: str
    dist: Any
    xp: Any
    sample: Any
    plate: Any
    subsample: Any
    param: Any
    deterministic: Any
    factor: Any
    unnormalised: Any
    truncated_normal: Any
    local_truncated_normal: Any
    symmetric_beta: Any
    uniform_direction: Any


@cache
def language(name: str) -> PPL:
    """The language called `name`, ``"numpyro"`` or ``"pyro"``; raises ImportError with the fix if it is not there."""
    if name == "numpyro":
        import jax.numpy as xp
        import numpyro as module
        import numpyro.distributions as dist
    elif name == "pyro":
        try:
            import array_api_compat.torch as xp
            import pyro as module
            import pyro.distributions as dist
        except ImportError as error:
            raise ImportError(PYRO_MISSING) from error
    else:
        raise ValueError(f"unknown language {name!r}; choose 'numpyro' or 'pyro'")
    functions = {f: getattr(module, f) for f in _Language._fields if hasattr(module, f)}
    from . import truncated_normal  # which needs NumPy, as these languages do

    laws = {
        "unnormalised": unnormalised(name),
        "truncated_normal": truncated_normal.truncated_normal(name),
        "local_truncated_normal": truncated_normal.local_truncated_normal(name),
        "symmetric_beta": symmetric_beta(name),
        "uniform_direction": uniform_direction(name),
    }
    return _Language(**{**functions, **laws, "name": name, "dist": dist, "xp": xp})


def ppl(*arrays: Any) -> PPL:
    """The language of these arrays, all of one kind: NumPyro for JAX (tracers included), Pyro for torch.

    Raises TypeError for NumPy arrays, for a mixture and for anything else, naming the conversion to make.
    """
    kinds = {_kind(a) for a in arrays}
    if len(kinds) != 1:
        given = " and ".join(sorted(kinds)) or "no arrays"
        raise TypeError(f"ppl() got {given}; pass arrays of one kind: all JAX (NumPyro) or all torch (Pyro)")
    return language(kinds.pop())


def _kind(a: Any) -> str:
    """``"numpyro"`` or ``"pyro"``, without importing a library that the caller has not imported."""
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")
    if jax is not None and isinstance(a, jax.Array):
        return "numpyro"
    if torch is not None and isinstance(a, torch.Tensor):
        return "pyro"
    description = "a NumPy array" if type(a).__module__ == "numpy" else f"a {type(a).__name__}"
    raise TypeError(f"ppl() got {description}; pass jax.numpy.asarray(x) for NumPyro or torch.as_tensor(x) for Pyro")
