"""Linear regressions whose posterior is known, with columns that were not made for anybody's comfort.

Columns have sds from 1e-3 to 1e4, means away from zero and correlations up to 0.999.  The prior is normal-inverse-gamma
or, for the coefficients, flat: a normal a million times wider than the posterior.  Its widths are columns of x, so that
regressions of one shape are one program.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from noisezoo.models.ppl import ppl
from scipy.special import gammaln

SHAPES = ((20, 2), (60, 3), (300, 4), (1000, 5), (5000, 6))  # rows, columns
SEEDS = range(6)
A0, B0 = 10.0, 9.0  # of the inverse gamma law of the noise's variance, whose mean is 1
MEAN_WITHIN, SD_WITHIN = 0.1, 0.1  # in posterior sds; as a fraction


class Regression(NamedTuple):
    """x (rows, 2 columns + 1): the columns, then the widths of the priors of their coefficients and of the intercept;
    y (rows,); mean and sd of the posterior of the coefficients, the intercept and the sd of the noise."""

    name: str
    x: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def regressions(seeds: range = SEEDS) -> Iterator[Regression]:
    """As many of each shape as there are seeds."""
    for rows, columns in SHAPES:
        for seed in seeds:
            yield regression(rows, columns, seed)


def regression(rows: int, columns: int, seed: int) -> Regression:
    """Every other seed has flat priors."""
    rng = np.random.default_rng([rows, columns, seed])
    correlation = rng.choice([0.0, 0.9, 0.99, 0.999])
    size = 10.0 ** rng.uniform(-3, 4, columns)
    covariance = np.full((columns, columns), correlation) + (1 - correlation) * np.eye(columns)
    standard = rng.normal(size=(rows, columns)) @ np.linalg.cholesky(covariance).T
    x = (size * (standard + rng.normal(0, 2, columns))).astype(np.float32)
    noise = np.exp(rng.normal(0, 0.3))
    y = (1 + x @ (rng.normal(size=columns) / size) + noise * rng.normal(size=rows)).astype(np.float32)
    width = 1e6 / size if seed % 2 else 2 / size
    widths = np.r_[width, 1e6 if seed % 2 else 5.0].astype(np.float32)
    name = f"{rows} rows, {columns} columns, correlation {correlation}, {'flat' if seed % 2 else 'proper'}, {seed}"
    return Regression(name, np.c_[x, np.tile(widths, (rows, 1))].astype(np.float32), y, *posterior(x, y, widths))


def posterior(x: np.ndarray, y: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and sds, by the conjugate update in double precision."""
    design, y = np.c_[x, np.ones(len(x))].astype(np.float64), y.astype(np.float64)
    unit = 1 / np.sqrt((design**2).sum(0) + widths.astype(np.float64) ** -2)  # so that the matrix can be inverted
    precision = unit[:, None] * (design.T @ design + np.diag(widths.astype(np.float64) ** -2)) * unit
    inverse = np.linalg.inv(precision)
    mean = unit * (inverse @ (unit * (design.T @ y)))
    a, residual = A0 + len(y) / 2, y - design @ mean
    b = B0 + 0.5 * (residual @ residual + ((mean / widths) ** 2).sum())
    sd = np.sqrt(b / (a - 1) * np.diag(inverse)) * unit
    noise = np.sqrt(b) * np.exp(gammaln(a - 0.5) - gammaln(a))
    return np.r_[mean, noise], np.r_[sd, np.sqrt(b / (a - 1) - noise**2)]


def program(x, y=None, batch_size=None):
    """Coefficients w (columns,), intercept b and the variance of the noise; the widths of their priors are in x."""
    p = ppl(x)
    columns = (x.shape[1] - 1) // 2
    variance = p.sample("variance", p.dist.InverseGamma(A0, B0))
    width = variance**0.5 * x[0, columns:]
    w = p.sample("w", p.dist.Normal(p.xp.zeros(columns), width[:columns]).to_event(1))
    b = p.sample("b", p.dist.Normal(0.0, width[columns]))
    with p.plate("data", x.shape[0], dim=-1, subsample_size=batch_size) as rows:
        picked, seen = (x, y) if batch_size is None else (x[rows], None if y is None else y[rows])
        f = p.deterministic("f", picked[:, :columns] @ w + b)
        p.sample("y", p.dist.Normal(f, variance**0.5), obs=seen)
    return f


def quantities(draws: dict) -> np.ndarray:
    """Coefficients, intercept and noise sd of all draws, (draws, columns + 2), double."""
    parts = (draws["w"], draws["b"][..., None], draws["variance"][..., None] ** 0.5)
    joined = np.concatenate(parts, axis=-1).astype(np.float64)
    return joined.reshape(-1, joined.shape[-1])


def errors(regression: Regression, draws: dict) -> tuple[np.ndarray, np.ndarray]:
    """How far means are off, in posterior sds, and sds, as fractions: of each quantity."""
    found = quantities(draws)
    return np.abs(found.mean(0) - regression.mean) / regression.sd, np.abs(found.std(0) / regression.sd - 1)


def is_right(regression: Regression, draws: dict) -> bool:
    """Whether the means and sds of the coefficients and the intercept are within the limits.

    Not of the noise sd: its law is skewed, and that of a normal at the mode is off by (coefficients + 1) / 2 over the
    root of its degrees of freedom, in sds, whoever computes it.
    """
    means, sds = (part[:-1] for part in errors(regression, draws))
    return bool((means < MEAN_WITHIN).all() and (sds < SD_WITHIN).all())
