"""What a run has recorded so far: blocks of draws, stats and history, and how far it has come."""

from dataclasses import dataclass, field

import numpy as np

from ..target.sites import Arrays


def _empty() -> dict[str, list[Arrays]]:
    return {"sites": [], "stats": [], "info": [], "half": []}


@dataclass(frozen=True)
class Records:
    """Blocks in order, each array (chain, record, ...); the draws of the warmup are not kept, nor the info of draws.

    ``half`` has the draws of a run at half the step.
    """

    step: int = 0
    done: dict[str, int] = field(default_factory=lambda: {"warmup": 0, "draws": 0, "half": 0})
    blocks: dict[str, list[Arrays]] = field(default_factory=_empty)

    def with_block(self, phase: str, block: dict[str, Arrays], count: int, step: int) -> "Records":
        """These and a block of `count` records that ends before `step`."""
        parts = {"warmup": {"info": "info"}, "draws": {"sites": "sites", "stats": "stats"}, "half": {"half": "sites"}}
        kept = parts[phase]
        blocks = {part: [*old, block[kept[part]]] if part in kept else old for part, old in self.blocks.items()}
        return Records(step, {**self.done, phase: self.done[phase] + count}, blocks)

    def joined(self, part: str) -> Arrays:
        """All records of ``"sites"``, ``"stats"``, ``"info"`` or ``"half"`` as arrays (chain, record, ...)."""
        blocks = self.blocks[part]
        return {k: np.concatenate([b[k] for b in blocks], axis=1) for k in blocks[0]} if blocks else {}

    def message(self, phase: str) -> str:
        """A word for the progress bar: the loss, the divergences."""
        if phase == "warmup":
            last = self.blocks["info"][-1]
            return f"loss {last['loss'][:, -1].mean():.4g}" if "loss" in last else "warmup"
        if phase == "half":
            return "half the step, for its bias"
        diverging = sum(int(b["diverging"].sum()) for b in self.blocks["stats"] if "diverging" in b)
        return f"{diverging} divergence{'s' * (diverging > 1)}" if diverging else "drawing"
