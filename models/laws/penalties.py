"""Multiplicative noise as a Gaussian scale mixture: the penalties that the analysis of it comes to, in closed form.

Nalisnick, Anandkumar & Smyth (2015); the program, the equations by number and what is wrong in print are told in
`models.papers.scale_mixture`.  s_j is the mean over k of E[v_jk]^2 + Var[v_jk], d the weights in a row; as printed are
`gsm_as_printed` (14), `reduced` (15) and `regulariser` (16), right is `gsm`.

With the entropy of q, the expectation of `gsm` is what a row of weights pays: `row_ard`, empirical-Bayes ARD
(`divergences.empirical_bayes`) with a precision for each row in place of each weight.

Arrays are of NumPy or JAX, as `xp` says.  Weights are (..., rows, d): the last axis is k, the one before it j.
"""

import math
from typing import Any


def gsm(xp: Any, v: Any, mean: Any, var: Any) -> Any:
    """-log p(V given the scales that fit best), eq 14 put right: sum_j [sum_k v_jk^2 / (2 s_j) + d/2 log(2 pi s_j)].

    `mean` and `var` are the posterior moments of `v`, of its shape; a scalar, in nats.
    """
    s = _second(xp, mean, var)
    return xp.sum(0.5 * v**2 / s + 0.5 * xp.log(2 * math.pi * s))


def gsm_as_printed(xp: Any, v: Any, mean: Any, var: Any, sigma0: float) -> Any:
    """Eq 14 as printed: sum_jk v_jk^2 / s_j / sigma0^2, for the record."""
    return xp.sum(v**2 / _second(xp, mean, var)) / sigma0**2


def row_ard(xp: Any, loc: Any, scale: Any) -> Any:
    """KL(N(loc, scale^2) || N(0, s_j)) at the variance s_j that suits each row best, summed: a scalar, in nats.

    sum_j [d/2 log s_j - 1/2 sum_k log scale_jk^2]; never below `divergences.empirical_bayes`, whose variances are each
    weight's own.
    """
    return xp.sum(0.5 * xp.log(_second(xp, loc, scale**2)) - xp.log(scale))


def reduced(xp: Any, v: Any, var: Any, sigma0: float) -> Any:
    """Eq 15 as printed, eq 14 at the means: sum_j d / (1 + sum_k var_jk / sum_k v_jk^2) / sigma0^2."""
    squares = xp.sum(v**2, axis=-1)
    return xp.sum(v.shape[-1] * squares / (squares + xp.sum(var, axis=-1))) / sigma0**2


def regulariser(xp: Any, v: Any, var: Any, sigma0: float) -> Any:
    """Eq 16 as printed, eq 14 of rows of one weight without the squared means: sum_j v_j^2 / var_j / sigma0^2."""
    return xp.sum(v**2 / var) / sigma0**2


def linear_dropout(xp: Any, x: Any, w: Any, variance: float) -> Any:
    """What noise of mean 1 adds to the expected squared error, eq 4 put right: variance sum_j w_j^2 sum_i x_ij^2.

    E sum_i (y_i - sum_j x_ij lambda_ij w_j)^2 is the error at lambda = 1 and this, exactly.  `x` (rows, features), `w`
    (features,), `variance` that of lambda.
    """
    return variance * xp.sum(x**2 * w**2)


def logistic_dropout(xp: Any, x: Any, w: Any, variance: float) -> Any:
    """The same for -log p(y) of logistic regression, eq 5: 1/2 variance sum_j w_j^2 sum_i f_i (1 - f_i) x_ij^2.

    With f = sigmoid(x w), to second order: what is left out is of the order of variance^2.
    """
    small = xp.exp(-xp.abs(x @ w))
    return 0.5 * variance * xp.sum((small / (1 + small) ** 2)[:, None] * x**2 * w**2)


def _second(xp: Any, mean: Any, var: Any) -> Any:
    """s_j, with an axis of one in place of k."""
    return xp.mean(mean**2 + var, axis=-1, keepdims=True)
