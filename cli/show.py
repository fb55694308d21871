"""``noisezoo show``: a noise and the prior that it induces."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import PriorArgument, one_sentence, print_line, print_table

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def show(
    prior: PriorArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Save a figure of it here.")] = None,
) -> None:
    """A noise and the prior it induces: what is known of it, its quantiles, and a figure."""
    with one_sentence():
        from ..models.catalogue import noise

        show_noise(noise(prior), out)


def show_noise(noise: Any, out: Path | None) -> None:
    """Print what is known of a noise and its quantiles; save its figure."""
    law = noise.law() if noise.law else None
    properties = {
        "prior on a weight": noise.prior or "not named",
        "law of scale^2": "improper" if not noise.proper else _law(law) if law else "not known",
        "p(weight)": "closed form" if noise.closed_form else "by quadrature" if law else "averaged over draws",
        "M-step of the scale": "closed form" if noise.m_step else "none in closed form",
        "proper": "yes" if noise.proper else "no: it has no draws, and NUTS and SGLD no posterior",
        "source": noise.source or "not given",
    }
    print_table(str(noise), ("", ""), properties.items(), header=False)
    if noise.proper:
        import numpy as np

        from ..models.noises.draws import draw_scales, draw_weights

        draws = {"scale": draw_scales(noise, 20_000), "weight": np.abs(draw_weights(noise, 20_000))}
        rows = [(f"|{k}|", *(f"{q:.3g}" for q in np.quantile(np.abs(v), QUANTILES))) for k, v in draws.items()]
        print_table("Quantiles at sigma0 = 1, of 20,000 draws", ("", *(f"{q:.0%}" for q in QUANTILES)), rows)
    if out:
        from ..inference.files import through
        from ..models.views.noises import plot_noise

        through(out, lambda part: plot_noise(noise).savefig(part, dpi=130))
        print_line(f"figure: {out}")


def _law(law: Any) -> str:
    """A frozen scipy distribution as it would be written."""
    if not hasattr(law, "dist"):
        return "known, without a name"
    settings = [*(f"{v:g}" for v in law.args), *(f"{k}={v:g}" for k, v in law.kwds.items())]
    return f"{law.dist.name}({', '.join(settings)})"
