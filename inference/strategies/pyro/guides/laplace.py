"""The Laplace approximation in Pyro: the counterpart of `..guides.laplace`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from ....target.pyro.density import draw_rows, initial, log_density, on_device, refuse_discrete
from ....target.sites import Sites, refuse_pays_only
from ...algorithm import Algorithm, of_guide
from ...guides.laplace import NO_MODE, check_size
from ...guides.newton import mode


class State(NamedTuple):
    """The number of the step, the mode so far (unconstrained, by site), the transforms to the supports, Adam, and the
    Cholesky factor of the covariance."""

    number: int
    z: dict[str, Any]
    transforms: dict[str, Any]
    adam: torch.optim.Adam
    tril: Any = None


def algorithm(config: Any, model: Callable, sites: Sites, rate: Callable[[int], float]) -> Algorithm:
    """Bind the approximation to a Pyro program; `config` is an `SVI`, `rate` scales its lr."""
    refuse_discrete("svi with guide laplace", sites)
    refuse_pays_only("svi with guide laplace", sites)
    check_size(sites.size)

    def log_joint(state: State, flat: Any, x: Any, y: Any) -> tuple[Any, dict]:
        return log_density(model, state.transforms, _sites(flat, state.z), x, y)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y)
        z = {name: value.clone().requires_grad_() for name, value in z.items()}
        return State(0, z, transforms, torch.optim.Adam(list(z.values()), fused=True))

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        loss = -log_density(model, state.transforms, state.z, x, y, rows)[0]
        state.adam.zero_grad()
        loss.backward()
        state.adam.param_groups[0]["lr"] = config.lr * rate(state.number)
        state.adam.step()
        return state._replace(number=state.number + 1), {"loss": loss.detach()}

    @on_device
    def after_warmup(key: int, state: State, x: Any, y: Any) -> State:
        def loss(flat: Any) -> Any:
            return -log_joint(state, flat, x, y)[0]

        def tensor(flat: np.ndarray) -> Any:
            return torch.as_tensor(flat, dtype=x.dtype, device=x.device)

        def derivatives(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            at = tensor(flat)
            jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
            return jacobian(loss, at).cpu().numpy(), hessian(loss, at).cpu().numpy()

        start = _flat(state.z).detach().cpu().numpy().astype(np.float64)
        found = mode(lambda flat: float(loss(tensor(flat)).detach()), derivatives, start)
        covariance, failed = torch.linalg.inv_ex(tensor(derivatives(found)[1]))
        tril, not_positive = torch.linalg.cholesky_ex(0.5 * (covariance + covariance.mT))
        if failed or not_positive or not torch.isfinite(tril).all():
            raise ValueError(NO_MODE)
        return state._replace(z=_sites(tensor(found), state.z), tril=tril)

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        centre = _flat(state.z)
        if state.tril is None:
            return log_joint(state, centre, x, y)[1], {}
        law = torch.distributions.MultivariateNormal(centre, scale_tril=state.tril, validate_args=False)
        flat = law.sample()
        log_p, values = log_joint(state, flat, x, y)
        return values, {"log_p": log_p, "log_q": law.log_prob(flat)}

    return of_guide(config, init, step, draw, after_warmup=after_warmup, approximation=True, method="sequential")


def _flat(z: dict[str, Any]) -> Any:
    return torch.cat([value.reshape(-1) for value in z.values()])


def _sites(flat: Any, like: dict[str, Any]) -> dict[str, Any]:
    """A flat vector cut into sites of these shapes."""
    parts = torch.split(flat, [value.numel() for value in like.values()])
    return {name: part.reshape(value.shape) for part, (name, value) in zip(parts, like.items(), strict=True)}
