"""Scale-free laws, which are improper: log-uniform scales, and what they make of a weight.

See ``docs/gotchas.md#an-improper-prior-has-no-posterior``.
"""

from functools import cache, partial
from typing import Any

from ..laws import divergences
from ..laws import m_steps as steps
from ..ppl import PPL
from .noise import Noise, row_of_one

LOG_UNIFORM = "log-uniform"


@cache
def log_uniform() -> Noise:
    """p(lambda) proportional to 1 / lambda: improper, so it cannot be drawn from and NUTS has no posterior to sample.

    Its sample statement is flat on the positive line and carries ``infer={"improper": "log-uniform"}``; the factor
    ``name.log_uniform`` adds -log lambda.  The induced p(w) is proportional to 1 / abs(w).
    """

    m_step = steps.inverse_gamma(0.0, 0.0, 2)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        improper = p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape))
        scales = p.sample(name, improper, infer={"improper": LOG_UNIFORM, "m_step": m_step})
        p.factor(f"{name}.log_uniform", -p.xp.sum(p.xp.log(scales)))
        return scales

    def row(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import log_uniform

        return log_uniform(w)

    return Noise(
        program,
        "log_uniform",
        prior="normal-Jeffreys",
        source="Kingma, Salimans & Welling (2015), appendix C; Figueiredo (2002)",
        closed_form=row_of_one(row),
        row=row,
        m_step=m_step,
        proper=False,
    )


def log_uniform_weight(p: PPL, approximate: bool = False) -> tuple[Any, dict[str, Any]]:
    """The improper law p(w) proportional to 1 / abs(w) of a weight, and the `infer` of its site.

    `approximate` takes the divergence by three constants in place of the exact one.
    """
    divergence = divergences.log_uniform_approximate if approximate else divergences.log_uniform
    gradient = None if approximate else partial(divergences.log_uniform_gradient, p.xp)
    law = p.unnormalised(LOG_UNIFORM, lambda w: -p.xp.log(p.xp.abs(w)), partial(divergence, p.xp), gradient)
    return law, {"improper": LOG_UNIFORM}
