"""The pilot in torch: see `..geometry.pilot`."""

from collections.abc import Callable

import torch

from ....models.ppl import language
from ..geometry import pilot
from .density import draw_rows


def run(
    gradient: Callable, z: dict, root: dict | None, rows: int, batch_size: int | None, temperature: float
) -> pilot.Pilot:
    """A pilot from `z`, or its last window with scales `root`.

    ``gradient(z, rows)`` is that of the log joint on some of so many rows, None for all.
    """
    xp = language("pyro").xp
    few = batch_size is not None and rows > pilot.ROWS
    fixed = draw_rows(rows, pilot.ROWS) if few else None
    chain = pilot.begin(xp, z, normals(z), torch.tensor(0), root)
    for _ in range(0 if root is None else pilot.ENDS[-1], pilot.STEPS):
        batch = draw_rows(rows, batch_size)
        here, ahead = (gradient(point, fixed) for point in (chain.z, pilot.ahead(xp, chain)))
        of_batch = here if batch is None else gradient(chain.z, batch)
        chain = pilot.advanced(xp, chain, here, ahead, of_batch, normals(chain.z), temperature)
    return chain


def normals(z: dict) -> dict:
    """Standard normals for every site."""
    return {name: torch.randn_like(v) for name, v in z.items()}
