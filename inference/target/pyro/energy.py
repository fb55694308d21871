"""The energy of a Pyro program in double precision, for what runs in NumPy (`..geometry.pathfinder`)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..geometry.pathfinder import ROWS, Energy
from .density import initial, log_density, untouched, vmap_or_loop


def energy(model: Callable, seed: int, x: Any, y: Any, most: int | None = ROWS) -> Energy:
    """The energy of `model` on these data, or on `most` rows of them, drawn at random."""
    with _double(x):
        x, y = (a.to(torch.float64) if a.is_floating_point() else a for a in (x, y))
        like, transforms = initial(model, x, y)
    rows = None
    if most is not None and x.shape[0] > most:
        rows = torch.as_tensor(np.random.default_rng(seed).choice(x.shape[0], most, replace=False), device=x.device)

    def nats(flat: Any) -> Any:
        return -log_density(model, transforms, unflatten(flat, like), x, y, rows)[0]

    def tensor(flat: np.ndarray) -> Any:
        return torch.as_tensor(flat, dtype=torch.float64, device=x.device)

    def start(path: int) -> np.ndarray:
        with _double(x):
            torch.manual_seed(seed + path)
            return flatten(initial(model, x, y)[0]).cpu().numpy()

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        with _double(x):
            at = tensor(flat).requires_grad_()
            value = nats(at)
            return float(value.detach()), torch.autograd.grad(value, at)[0].cpu().numpy()

    @torch.no_grad()
    def values(draws: np.ndarray) -> np.ndarray:
        with _double(x):
            return vmap_or_loop(nats, tensor(draws)).cpu().numpy()

    def hessian(flat: np.ndarray) -> np.ndarray:
        with _double(x):
            return torch.autograd.functional.hessian(nats, tensor(flat), vectorize=True).cpu().numpy()

    return Energy(start, value_and_gradient, values, hessian)


def flatten(z: dict[str, Any]) -> Any:
    """The numbers of all sites, one after another."""
    return torch.cat([value.reshape(-1) for value in z.values()])


def unflatten(flat: Any, like: dict[str, Any]) -> dict[str, Any]:
    """A flat vector cut into sites of these shapes."""
    parts = torch.split(flat, [value.numel() for value in like.values()])
    return {name: part.reshape(value.shape) for part, (name, value) in zip(parts, like.items(), strict=True)}


@contextmanager
def _double(x: Any) -> Iterator[None]:
    """Double precision by default, torch's random state and Pyro's parameters left as they were."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with untouched(x):
            yield
    finally:
        torch.set_default_dtype(before)
