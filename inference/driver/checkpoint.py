"""Checkpoints: the state of a run and what it has recorded, in one safetensors file, written atomically."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from .records import Records

EVERY = 30.0  # seconds between two writes


class Checkpoint:
    """The file of one run, which it recognises by language, settings, seed and data."""

    def __init__(self, path: str | Path, language: str, config: Any, seed: int, x: Any, y: Any) -> None:
        if language != "numpyro":
            raise ValueError("checkpoints hold the state of JAX strategies only; run without checkpoint= under Pyro")
        self.path = Path(path)
        data = hashlib.sha256(np.asarray(x).tobytes() + np.asarray(y).tobytes()).hexdigest()
        self._run = f"{config} seed={seed} data={data[:16]}"
        self._saved = time.monotonic()

    def save(self, state: Any, records: Records, now: bool = False) -> None:
        """Write, if it is time or `now`."""
        if not now and time.monotonic() - self._saved < EVERY:
            return
        import jax
        from safetensors.numpy import save_file

        leaves = {f"state/{i}": np.array(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        arrays = {
            f"{part}/{k}": np.ascontiguousarray(v) for part in records.blocks for k, v in records.joined(part).items()
        }
        metadata = {"run": self._run, "step": str(records.step), "done": json.dumps(records.done)}
        part = self.path.with_name(self.path.name + ".part")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_file({**leaves, **arrays}, part, metadata=metadata)
        os.replace(part, self.path)
        self._saved = time.monotonic()

    def load(self, like: Any) -> tuple[Any, Records]:
        """The state (in the tree of `like`) and the log.  Raises ValueError if the file is broken or of another run."""
        import jax
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{self.path} is not a whole checkpoint; delete it to start afresh") from error
        if metadata.get("run") != self._run:
            raise ValueError(
                f"{self.path} is of another run (settings, seed or data differ); delete it or name another"
            )
        tree = jax.tree.structure(like)
        state = jax.tree.unflatten(tree, [arrays[f"state/{i}"] for i in range(tree.num_leaves)])
        records = Records(step=int(metadata["step"]), done=json.loads(metadata["done"]))
        for part in records.blocks:
            block = {k.removeprefix(f"{part}/"): v for k, v in arrays.items() if k.startswith(f"{part}/")}
            if block:
                records.blocks[part].append(block)
        return state, records
