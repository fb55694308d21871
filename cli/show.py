"""``noisezoo show``: a noise and the prior that it induces, or a strategy and its settings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import one_sentence, print_line, print_table

PICTURES = (".png", ".pdf", ".svg", ".jpg")
DRAWS = 20_000
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

        check_picture(out)
        if not (".py:" in name or name.endswith(".py")) and kind not in {**NOISES, **PRIORS}:
            raise unknown("noise or strategy", kind, [*NOISES, *PRIORS, *STRATEGIES])
        show_noise(noise(name), out)


def check_picture(out: Path | None) -> None:
    """Raise ValueError for a file that a figure cannot be written to."""
    if out is None:
        return
    if out.suffix.lower() not in PICTURES:
        raise ValueError(f"a figure is a file that ends in {', '.join(PICTURES)}, not {str(out)!r}")
    if not out.parent.is_dir():
        raise ValueError(f"there is no folder {out.parent} for the figure; make it, or name another")


def show_strategy(spec: str) -> None:
    """Print what a strategy does, and the meaning and the default of each of its settings."""
    from ..inference.strategies.meanings import about

    summary, tables = about(spec)
    print_line(f"{spec}: {summary}", style="bold")
    for title, rows in tables.items():
        print_table(f"Settings: --with {title}", ("name", "default", "meaning"), rows)


def show_noise(noise: Any, out: Path | None) -> None:
    """Print what is known of a noise and its quantiles; save its figure."""
    law, draws = noise.law() if noise.law else None, _draws(noise) if noise.proper else None
    properties = {
        "prior on a weight": noise.prior or "not named",
        "law of scale^2": "improper" if draws is None else _law(law) if law else "not known",
        "p(weight)": "closed form" if noise.closed_form else "by quadrature" if law else "averaged over draws",
        "M-step of the scale": "closed form" if noise.m_step else "none in closed form",
        "proper": "no: it has no draws, and NUTS and SGLD no posterior" if draws is None else "yes",
        "source": noise.source or "not given",
    }
    if draws is None and not noise.closed_form:
        properties["p(weight)"] = "not known"
    print_table(str(noise), ("", ""), properties.items(), header=False)
    if draws is not None:
        print_table(f"Quantiles at sigma0 = 1, of {DRAWS:,} draws", ("", *(f"{q:.0%}" for q in QUANTILES)), draws)
    if out:
        from ..inference.files import through
        from ..models.views.noises import plot_noise

        through(out, lambda part: plot_noise(noise).savefig(part, dpi=130))
        print_line(f"figure: {out}")


def _draws(noise: Any) -> list[tuple[str, ...]] | None:
    """Rows of quantiles of scales and of weights; None for an improper noise, whether it says so or not."""
    import numpy as np

    from ..models.noises.draws import draw_scales, draw_weights
    from ..models.ppl.programs import Improper

    try:
        draws = {"|scale|": np.abs(draw_scales(noise, DRAWS)), "|weight|": np.abs(draw_weights(noise, DRAWS))}
    except Improper:
        return None
    for name, values in draws.items():
        if broken := np.sum(~np.isfinite(values)):
            raise ValueError(f"{noise}: {broken} of {DRAWS:,} draws of {name} overflow; choose less extreme settings")
        if not np.any(values):
            raise ValueError(f"{noise}: all of {DRAWS:,} draws of {name} are zero; choose less extreme settings")
    return [(name, *(f"{q:.3g}" for q in np.quantile(values, QUANTILES))) for name, values in draws.items()]


def _law(law: Any) -> str:
    """A frozen scipy distribution as it would be written."""
    if not hasattr(law, "dist"):
        return "known, without a name"
    settings = [*(f"{v:g}" for v in law.args), *(f"{k}={v:g}" for k, v in law.kwds.items())]
    return f"{law.dist.name}({', '.join(settings)})"
