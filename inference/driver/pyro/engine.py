"""Blocks for Pyro strategies: plain loops, with torch seeded anew for every call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ...strategies.algorithm import Algorithm
from ...target.sites import Arrays

INIT, STEP, DRAW, AFTER_WARMUP, PREPARE = range(5)  # streams of seeds
SMALL = 10_000_000  # multiplications of a step, below which threads wait for one another longer than they work


class Engine:
    """The chains of one run, one after another; `state` is a list of their states."""

    records = 50  # at most so many a block

    def __init__(self, algorithm: Algorithm, seed: int, x: Any, y: Any) -> None:
        began = time.perf_counter()
        self._algorithm, self._seed, self._data = algorithm, seed, (x, y)
        self.state = [self._call(algorithm.init, INIT, chain, 0) for chain in range(algorithm.chains)]
        self.compile_seconds = time.perf_counter() - began
        if algorithm.prepare is not None:
            self.state = [self._call(algorithm.prepare, PREPARE, chain, 0, s) for chain, s in enumerate(self.state)]
        self.prepare_seconds = time.perf_counter() - began - self.compile_seconds

    def _call(self, function: Any, stream: int, chain: int, number: int, *state: Any) -> Any:
        """Call with a seed that depends on (seed, stream, chain, number) alone; torch's own state stays as it was."""
        seed = int(np.random.SeedSequence([self._seed, stream, chain, number]).generate_state(1, np.uint64)[0] >> 1)
        with torch.random.fork_rng(devices=[self._data[0].device] if self._data[0].is_cuda else []):
            _reseed(seed, self._data[0])
            return function(seed, *state, *self._data)

    def block(self, step: int, record: int, count: int, thin: int, last: int) -> dict[str, Arrays]:
        """Run `count` records of `thin` steps, none beyond step `last`; arrays (chain, count, ...) by part and name."""
        with _threads(1 if self._algorithm.work < SMALL else torch.get_num_threads()):
            chains = [self._chain(chain, step, record, count, thin, last) for chain in range(len(self.state))]
        return {
            part: {name: np.stack([np.stack([r[part][name] for r in rows]) for rows in chains]) for name in values}
            for part, values in chains[0][0].items()
        }

    def _chain(self, chain: int, t: int, record: int, count: int, thin: int, last: int) -> list[dict[str, Arrays]]:
        rows = []
        for i in range(record, record + count):
            end, infos = min(t + thin, last), []
            for number in range(t, end):
                self.state[chain], info = self._call(self._algorithm.step, STEP, chain, number, self.state[chain])
                infos.append(_numpy(info))
            t = end
            mean = {name: np.mean([info[name] for info in infos]) for name in (infos[0] if infos else ())}
            draw = self._algorithm.draw
            parts = ({}, {}) if last == self._algorithm.warmup else self._call(draw, DRAW, chain, i, self.state[chain])
            sites, stats = map(_numpy, parts)
            finite = {name: np.isfinite(value).all() for name, value in sites.items()}
            rows.append({"sites": sites, "stats": stats, "info": {**mean, "step": np.asarray(end)}, "finite": finite})
        return rows

    def after_warmup(self, step: int) -> None:
        """What the algorithm does between warmup and draws."""
        if self._algorithm.after_warmup is not None:
            f = self._algorithm.after_warmup
            self.state = [self._call(f, AFTER_WARMUP, chain, step, state) for chain, state in enumerate(self.state)]

    def moments(self) -> tuple[Arrays, Arrays]:
        """Mean and sd (chain, ...) by site, of a guide that has them."""
        if self._algorithm.moments is None:
            return {}, {}
        chains = [map(_numpy, self._algorithm.moments(state, *self._data)) for state in self.state]
        loc, scale = (
            {k: np.stack([part[k] for part in parts]) for k in parts[0]} for parts in zip(*chains, strict=True)
        )
        return loc, scale


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for torch, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _reseed(seed: int, x: Any) -> None:
    """`torch.manual_seed`; on the CPU without its look for other devices, which takes a quarter of a millisecond."""
    (torch.default_generator.manual_seed if x.device.type == "cpu" else torch.manual_seed)(seed)


def _numpy(values: dict[str, Any]) -> Arrays:
    return {k: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else np.asarray(v) for k, v in values.items()}
