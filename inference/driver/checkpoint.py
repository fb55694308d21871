"""Checkpoints: the state of a run and what it has recorded, in one safetensors file, written atomically.

A checkpoint is taken up by the run that it is of and by no other.  Its file says what that run is: the program as it is
lowered, with its priors and constants; the settings, the seed, the precision and the data; the versions of JAX, NumPyro
and noisezoo, since a resumed run is to equal the uninterrupted one, which other versions do not promise.  It says the
sha256 of its content too, so that a file that was changed is refused.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..provenance import versions
from ..target.precision import precision
from ..target.sites import Arrays
from .records import Records

EVERY = 30.0  # seconds between two writes
FORMAT = "2"
VERSIONS = ("jax", "numpyro", "noisezoo")  # those that a run depends on


def identity(program: str, config: Any, seed: int, x: Any, y: Any) -> dict[str, str]:
    """What a run is, by the names of what it depends on; `program` is the fingerprint of what it computes."""
    installed = versions()
    return {
        "program": program,
        "settings": str(config),
        "seed": str(seed),
        "precision": precision("numpyro"),
        "data": _sha256({"x": np.asarray(x), "y": np.asarray(y)}),
        **{f"version of {name}": installed.get(name, "") for name in VERSIONS},
    }


class Checkpoint:
    """The file of one run, which it knows by its `identity`."""

    def __init__(self, path: str | Path, run: dict[str, str]) -> None:
        self.path = Path(path)
        self._run = run
        self._saved = time.monotonic()

    def save(self, state: Any, records: Records, now: bool = False) -> None:
        """Write, if it is time or `now`."""
        if not now and time.monotonic() - self._saved < EVERY:
            return
        import jax
        from safetensors.numpy import save_file

        leaves = {f"state/{i}": np.array(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        recorded = {f"{part}/{k}": v for part in records.blocks for k, v in records.joined(part).items()}
        arrays = {name: np.asarray(v, order="C") for name, v in {**leaves, **recorded}.items()}
        facts = {"run": self._run, "step": records.step, "done": records.done}
        metadata = {"format": FORMAT, "facts": json.dumps(facts), "sha256": _sha256(arrays, facts)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.through(self.path, lambda part: save_file(arrays, part, metadata=metadata))
        self._saved = time.monotonic()

    def load(self, like: Any) -> tuple[Any, Records]:
        """The state (in the tree of `like`) and the log.  Raises ValueError if the file is broken or of another run."""
        import jax

        facts, arrays = self._read()
        if other := [name for name, value in self._run.items() if facts["run"].get(name) != value]:
            differ = f"not the same {' and '.join(['precision'] if 'precision' in other else other)}"
            raise ValueError(f"{self.path} is of another run ({differ}); delete it or name another")
        tree = jax.tree.structure(like)
        state = jax.tree.unflatten(tree, [arrays[f"state/{i}"] for i in range(tree.num_leaves)])
        records = Records(step=facts["step"], done=facts["done"])
        for part in records.blocks:
            block = {k.removeprefix(f"{part}/"): v for k, v in arrays.items() if k.startswith(f"{part}/")}
            if block:
                records.blocks[part].append(block)
        return state, records

    def _read(self) -> tuple[dict[str, Any], Arrays]:
        """The facts and the arrays of the file, as they were written."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(files.regular(self.path), framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT and "run" in metadata:
                    raise ValueError(f"{self.path} is of an older noisezoo; delete it to start afresh")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = json.loads(metadata["facts"])
            if metadata["sha256"] == _sha256(arrays, facts):
                return facts, arrays
        except (SafetensorError, KeyError, json.JSONDecodeError, UnicodeError):
            pass
        raise ValueError(f"{self.path} is not a whole checkpoint, or was changed; delete it to start afresh")


def _sha256(arrays: Arrays, facts: Any = None) -> str:
    """The sha256 of arrays by name, their shapes and types included, and of facts."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
