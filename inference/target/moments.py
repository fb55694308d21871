"""Weighted mean and sd of values by site, gathered along a chain one value after another, in either language."""

from typing import Any, NamedTuple


class Moments(NamedTuple):
    """Weighted sums along a chain: total weight, mean by site, and weighted squares of the deviations from it."""

    weight: Any
    mean: dict
    squares: dict


def no_moments(xp: Any, values: dict) -> Moments:
    """The moments of nothing yet, for sites like these."""
    return Moments(xp.asarray(0.0), *({name: xp.zeros_like(v) for name, v in values.items()} for _ in range(2)))


def updated_moments(xp: Any, moments: Moments, values: dict, weight: Any) -> Moments:
    """The moments with one more value of each site, by West's (1979) update."""
    total = moments.weight + weight
    share = weight / xp.where(total > 0, total, xp.ones_like(total))
    deviations = {name: values[name] - mean for name, mean in moments.mean.items()}
    mean = {name: moments.mean[name] + share * d for name, d in deviations.items()}
    squares = {name: moments.squares[name] + weight * (1 - share) * d**2 for name, d in deviations.items()}
    return Moments(total, mean, squares)


def all_updated(xp: Any, moments: dict[str, Moments], values: dict[str, dict], weight: Any) -> dict[str, Moments]:
    """`updated_moments` of several kinds of values."""
    return {name: updated_moments(xp, old, values[name], weight) for name, old in moments.items()}


def mean_and_sd(xp: Any, moments: Moments) -> tuple[dict, dict]:
    """Mean and sd by site."""
    return moments.mean, {name: xp.sqrt(square / moments.weight) for name, square in moments.squares.items()}
