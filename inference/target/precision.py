"""Single or double precision: the floating-point type in which a language computes unless it is told another one.

For JAX that is single precision unless ``jax_enable_x64`` is set, for torch its default type.  Priors are drawn in that
type; data of a narrower one are widened to it, so that a program does not compute in a mixture.

See ``docs/gotchas.md#single-precision-tells-energies-of-a-million-nats-apart-by-eighths``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...models.ppl import ppl

SINGLE, DOUBLE = "float32", "float64"


def precision(language: str) -> str:
    """The name of the type in which ``"numpyro"`` or ``"pyro"`` computes now."""
    if language == "numpyro":
        import jax.numpy as jnp

        return str(jnp.result_type(float))
    import torch

    return str(torch.get_default_dtype()).removeprefix("torch.")


@contextmanager
def in_double(language: str, wanted: bool = True) -> Iterator[None]:
    """Compute in double precision, in all threads, if that is `wanted`; afterwards as before.

    >>> import jax.numpy as jnp
    >>> with in_double("numpyro"):
    ...     precision("numpyro"), jnp.ones(2).dtype.name
    ('float64', 'float64')
    >>> precision("numpyro")
    'float32'
    """
    if not wanted:
        yield
    elif language == "numpyro":
        import jax

        before = jax.config.read("jax_enable_x64")  # of the process; `jax.enable_x64` would be of this thread alone
        jax.config.update("jax_enable_x64", True)
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", before)
    else:
        import torch

        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def widened(*arrays: Any) -> list[Any]:
    """Arrays of one language, those of narrower floats than it computes in by default in that type."""
    xp = ppl(*arrays).xp
    default = xp.asarray(0.0).dtype
    return [xp.astype(a, default) if _is_narrower(xp, a.dtype, default) else a for a in arrays]


def _is_narrower(xp: Any, dtype: Any, default: Any) -> bool:
    return xp.isdtype(dtype, "real floating") and xp.finfo(dtype).bits < xp.finfo(default).bits
