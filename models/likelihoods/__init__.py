"""Likelihoods: from a network and a prior to a model ``(x, y=None, batch_size=None) -> f``."""

from .bernoulli import bernoulli
from .categorical import categorical
from .gaussian import gaussian
from .soft_targets import soft_targets

__all__ = ["bernoulli", "categorical", "gaussian", "soft_targets"]
