"""Scale-free laws, which are improper: log-uniform scales, and what they make of a weight."""

from functools import cache
from typing import Any

from ..laws import m_steps as steps
from ..ppl import PPL
from .noise import Noise, row_of_one


@cache
def log_uniform() -> Noise:
    """p(lambda) proportional to 1 / lambda: improper, so it cannot be drawn from and NUTS has no posterior to sample.

    Its sample statement is flat on the positive line and carries ``infer={"improper": "log-uniform"}``; the factor
    ``name.log_uniform`` adds -log lambda.  The induced p(w) is proportional to 1 / abs(w).
    """

    m_step = steps.inverse_gamma(0.0, 0.0, 2)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        flat = p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape))
        scales = p.sample(name, flat, infer={"improper": "log-uniform", "m_step": m_step})
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
