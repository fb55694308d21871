"""``noisezoo show``: a noise and the prior that it induces, or a strategy and its settings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import one_sentence, print_line, print_table

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A noise (half_cauchy:scale=0.5), or a strategy (nuts, svi:guide=local)."),
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Save a figure of a noise here.")] = None,
) -> None:
    """A noise and the prior it induces, with its quantiles and a figure; or a strategy and what its settings mean."""
    from ..errors import unknown
    from ..inference.strategies import STRATEGIES

    with one_sentence():
        if (kind := name.partition(":")[0]) in STRATEGIES:
            return show_strategy(name)
        from ..models.catalogue import NOISES, PRIORS, noise

        if not (".py:" in name or name.endswith(".py")) and kind not in {**NOISES, **PRIORS}:
            raise unknown("noise or strategy", kind, [*NOISES, *PRIORS, *STRATEGIES])
        show_noise(noise(name), out)


def show_strategy(spec: str) -> None:
    """Print what a strategy does, and the meaning and the default of each of its settings."""
    from ..inference.strategies.meanings import about

    summary, tables = about(spec)
    print_line(f"{spec}: {summary}", style="bold")
    for title, rows in tables.items():
        print_table(f"Settings: --with {title}", ("name", "default", "meaning"), rows)


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
