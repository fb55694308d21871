"""Adam whose learning rate falls by itself, in torch: the counterpart of `..optimisation.adam`."""

from collections.abc import Callable
from typing import Any

import torch

from ..optimisation.convergence import (
    ACCURATE,
    BATCHES,
    FACTOR,
    FIRST,
    RHAT,
    Window,
    batch_means,
    first_window,
    rhat_squared,
)
from ..optimisation.schedule import falling


class Adam:
    """An optimiser of leaf tensors; its attributes are those of `optimisation.adam.State`.

    `distance` is ``(flat, flat) -> nats`` of two settings of all parameters, one after another.
    """

    def __init__(self, config: Any, parameters: list[Any], distance: Callable) -> None:
        self._config, self._parameters, self._distance = config, parameters, distance
        self._torch = torch.optim.Adam(parameters, fused=True)
        self.step_number = self.since = 0
        self.window, self.lr = FIRST // 2, config.lr
        self.rhat = self.change = float("inf")
        self.converged = False
        self._before: Any = None
        self._iterates: Any = None

    def step(self) -> None:
        """One step along the gradients that the parameters hold; none after the end."""
        if self.converged:
            return
        share = falling(self._config, self.step_number)
        self._torch.param_groups[0]["lr"] = self.lr * share
        self._torch.step()
        self.step_number += 1
        if self._config.tolerance is not None:
            self._record()
            if self.since == 2 * self.window and share == 1.0:
                self._look()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._torch.zero_grad()

    def summary(self) -> dict[str, Any]:
        """How the optimisation ended."""
        return {name: getattr(self, name) for name in ("converged", "lr", "rhat", "change")}

    @torch.no_grad()
    def _record(self) -> None:
        place = self.since - self.window
        self.since += 1
        if place < 0:
            return
        flat = torch.cat([p.detach().reshape(-1) for p in self._parameters])
        if place == 0:
            self._iterates = Window(flat, flat.new_zeros((BATCHES, flat.numel())), torch.zeros_like(flat))
        deviation = flat - self._iterates.origin
        self._iterates.sums[min(place * BATCHES // self.window, BATCHES - 1)] += deviation
        self._iterates.squares.add_(deviation**2)

    @torch.no_grad()
    def _look(self) -> None:
        tolerance, means = self._config.tolerance, batch_means(self._iterates, self.window)
        first, second, average = means[: BATCHES // 2].mean(0), means[BATCHES // 2 :].mean(0), means.mean(0)
        self.rhat = float(rhat_squared(self._iterates, self.window).mean().sqrt())
        drift = self._distance(first, second) ** 0.5
        if not (self.rhat < RHAT or drift < tolerance):
            self.window *= 2
            return
        if self._before is not None:
            self.change = self._distance(self._before, average) ** 0.5
        self.converged = self.change < tolerance and drift < ACCURATE * tolerance
        self.lr = self.lr if self.converged else self.lr / FACTOR
        self._before, self.since, self.window = average, 0, round(first_window(self._config.lr / self.lr))
        torch.nn.utils.vector_to_parameters(average, self._parameters)
