"""The mean-field ELBO with weights that are not sampled, in Pyro: the counterpart of `..guides.elbo`."""

from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer import TraceMeanField_ELBO
from torch.distributions import kl_divergence

from ...guides.elbo import Parts


class LocalMeanField_ELBO(TraceMeanField_ELBO):
    """For `pyro.infer.SVI`: minus the ELBO, the divergence multiplied by `kl_weight`; for reparameterised guides."""

    def __init__(self, num_particles: int = 1, kl_weight: Any = 1.0) -> None:
        self.kl_weight = kl_weight
        super().__init__(num_particles=num_particles)

    def _get_trace(self, model: Callable, guide: Callable, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return traces(model, guide, args, kwargs)

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[Any, Any]:
        elbo = parts(model_trace, guide_trace)
        loss = self.kl_weight * elbo.kl - elbo.log_lik
        return loss.item(), loss


def traces(model: Callable, guide: Callable, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """One draw of the guide and what the program makes of it: the traces of the program and of the guide."""
    q = poutine.trace(guide).get_trace(*args, **kwargs)
    return poutine.trace(poutine.replay(model, trace=q)).get_trace(*args, **kwargs), q


def parts(p: Any, q: Any) -> Parts:
    """The two parts of the ELBO, from the traces of program and guide; sampled sites count by log q - log p."""
    log_lik = kl = torch.zeros(())
    for name, site in p.nodes.items():
        if site["type"] != "sample" or poutine.util.site_is_subsample(site) or site["infer"].get("_deterministic"):
            continue
        if site["infer"].get("guide") == "point":  # its law is constant in what the program uses of it
            continue
        if not site["is_observed"]:
            kl = kl + _divergence(q.nodes[name], site)
        elif poutine.util.site_is_factor(site):  # a factor belongs to the prior
            kl = kl - _log_prob(site)
        else:
            log_lik = log_lik + _log_prob(site)
    for name, site in q.nodes.items():
        if site["type"] == "sample" and name not in p.nodes:  # auxiliary
            kl = kl + _log_prob(site)
    return Parts(log_lik, kl)


def _divergence(q: dict, p: dict) -> Any:
    try:
        return scale_and_mask(kl_divergence(q["fn"], p["fn"]), q["scale"], q["mask"]).sum()
    except NotImplementedError:
        return _log_prob(q) - _log_prob(p)


def _log_prob(site: dict) -> Any:
    return scale_and_mask(site["fn"].log_prob(site["value"]), site["scale"], site["mask"]).sum()
