"""Sparse arrays as a file holds them: of each trimmed weight the indices and values that are not zero.

A weight site becomes ``<site>.index`` (int32, into the flattened array) and ``<site>.value`` (float32): 8 bytes for
each kept weight where a dense one takes 4, so that a file shrinks by half the compression at most.
"""

import numpy as np

from ..target.sites import Arrays
from .trimming import trimmed, weights


def encode(loc: Arrays, masks: Arrays) -> Arrays:
    """Weights by index and value, everything else dense, in single precision."""
    trimmed_arrays = trimmed(loc, masks)
    sites = weights(loc)
    encoded: Arrays = {site: v.astype(np.float32) for site, v in trimmed_arrays.items() if site not in sites}
    for site in sites:
        flat = trimmed_arrays[site].astype(np.float32).ravel()
        index = np.flatnonzero(flat)
        encoded |= {f"{site}.index": index.astype(np.int32), f"{site}.value": flat[index]}
    return encoded


def decode(encoded: Arrays, shapes: dict[str, tuple[int, ...]]) -> Arrays:
    """What `encode` packed, dense; `shapes` are those of the weight sites."""
    arrays = {name: v for name, v in encoded.items() if not name.endswith((".index", ".value"))}
    for site, shape in shapes.items():
        flat = np.zeros(int(np.prod(shape)), np.float32)
        flat[encoded[f"{site}.index"]] = encoded[f"{site}.value"]
        arrays[site] = flat.reshape(shape)
    return arrays


def to_bytes(arrays: Arrays) -> bytes:
    """The content of a safetensors file."""
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(v) for name, v in arrays.items()})


def size(arrays: Arrays, features: int) -> int:
    """Bytes of a net's file: these arrays, floats in single precision, with mean and sd of each feature in double."""
    single = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    return len(to_bytes({**single, **dict.fromkeys(("x_mean", "x_scale"), np.zeros(features))}))
