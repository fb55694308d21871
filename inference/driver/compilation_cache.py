"""JAX's persistent compilation cache: a second start finds what the first one compiled."""

from pathlib import Path


def persistent_cache(folder: str | Path | None = None) -> Path:
    """Keep compiled programs in `folder` (by default the user's cache), however small and however quick to compile.

    Returns the folder.  JAX's own thresholds (one second, no minimum size) would leave out most of a small net.
    """
    import jax
    import pooch

    folder = Path(folder) if folder else Path(pooch.os_cache("noisezoo")) / "jax"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder
