"""What is wrong with a noise: run it in both languages and say so, one sentence each.

>>> check_noise(lambda p, name, shape: -p.sample(name, p.dist.Exponential(1.0).expand(shape).to_event(len(shape))))
['its scales are negative: take p.xp.abs of them, or declare Noise(f, name, signed=True)']
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import line_of_own_file
from .noises import Noise, as_noise
from .noises.draws import draw_scales
from .ppl import language, ppl
from .ppl.programs import log_joint, trace

NAME = "layer0.scale"
SHAPES = ((), (3,), (3, 2))
DRAWS = 2000
WARNING = "warning: "
LABELS = {"numpyro": "NumPyro", "pyro": "Pyro"}


def check_noise(f: Noise | Callable) -> list[str]:
    """The problems of a noise ``(p, name, shape) -> scales``, one sentence each; none if it is sound.

    It is run in NumPyro, and in Pyro where that is installed, at the shapes (), (3,) and (3, 2).  A sentence that
    starts with ``"warning: "`` does not keep the noise from working under NumPyro.
    """
    if not callable(f):
        return [f"a noise is a function (p, name, shape) -> scales, and this is a value of type {type(f).__name__}"]
    noise = as_noise(f)
    problems = _of_runs(noise, "numpyro")
    if problems:
        return problems
    if noise.proper and (problems := _of_draws(noise)):
        return problems
    try:
        language("pyro")
    except ImportError:
        return []
    problems = _of_runs(noise, "pyro")
    if problems:
        return [f"{WARNING}it works in NumPyro but not in Pyro: {problem}" for problem in problems]
    return _of_log_joint(noise)


def _of_runs(noise: Noise, name: str) -> list[str]:
    """The problems at the first shape that has any."""
    return next(filter(None, (_of_run(noise, name, shape) for shape in SHAPES)), [])


def _of_run(noise: Noise, name: str, shape: tuple[int, ...]) -> list[str]:
    """What a run of the program at `shape` shows: in its sites, and in what it returns."""
    label, returned = LABELS[name], []
    try:
        sites = _trace(noise, name, shape, returned)
        _trace(noise, name, shape, returned)
    except NotImplementedError:
        return [f"{WARNING}it is improper: no draws, and no NUTS; declare that by Noise(f, name, proper=False)"]
    except Exception as error:
        message, place = str(error).strip().split("\n")[0], line_of_own_file(error)
        return [f"in {label} it raises {type(error).__name__} at shape {shape}{place and f' ({place})'}: {message}"]
    problems = [_of_value(returned[0], name, shape), *(_of_site(site, shape) for site in sites.values())]
    if problems[0] is None and not np.array_equal(*map(_numpy, returned), equal_nan=True):
        problems.append("it gives other scales at the same seed: draw only through p.sample")
    return [problem for problem in problems if problem]


def _trace(noise: Noise, name: str, shape: tuple[int, ...], returned: list) -> dict[str, Any]:
    def program(x: Any) -> None:
        returned.append(noise.program(ppl(x), NAME, shape))

    ones = language(name).xp.ones(shape)
    return trace(program, 0, ones, values=None if noise.proper else {NAME: ones})


def _of_value(scales: Any, name: str, shape: tuple[int, ...]) -> str | None:
    try:
        right = ppl(scales).name == name
    except TypeError:
        right = False
    if not right:
        kind = f"{type(scales).__module__.partition('.')[0]} {type(scales).__name__}".removeprefix("builtins ")
        return f"in {LABELS[name]} it returns a {kind}: return what p.sample gives, changed only by p.xp functions"
    if tuple(scales.shape) != shape:
        fix = "sample from D(...).expand(shape).to_event(len(shape))"
        return f"it returns shape {tuple(scales.shape)} where {shape} is asked for: {fix}"
    return None


def _of_site(site: dict[str, Any], shape: tuple[int, ...]) -> str | None:
    name, kind = site["name"], site["type"]
    if kind not in ("sample", "deterministic", "param", "plate") or name in ("_INPUT", "_RETURN"):
        return None
    inside, plated = name.replace(NAME, "{name}", 1), bool(site.get("cond_indep_stack"))
    if name != NAME and not name.startswith(f"{NAME}."):
        own = ".".join(re.findall(r"\w+", inside.replace("{name}", ""))).strip("_") or "more"
        if inside == name:
            fix = f"call it f'{{name}}.{own}', or name if it is the scale itself"
            return f"its site {name!r} does not start with the name that it is given: {fix}"
        return f"its site f'{inside}' has no dot after the name that it is given: call it f'{{name}}.{own}'"
    axes = len(tuple(getattr(site["fn"], "batch_shape", ()))) if kind == "sample" and not plated else 0
    if axes:
        n = "len(shape)" if axes == len(shape) else str(axes)
        return f"its site f'{inside}' has a batch shape: end its distribution with .to_event({n})"
    return None


def _of_draws(noise: Noise) -> list[str]:
    scales = draw_scales(noise, DRAWS)
    if not np.all(np.isfinite(scales)):
        return [f"{np.sum(~np.isfinite(scales))} of {DRAWS} scales drawn are NaN or infinite"]
    if np.all(scales == 0):
        return ["all its scales are zero, and so would be every weight"]
    if np.any(scales < 0) and not noise.signed:
        return ["its scales are negative: take p.xp.abs of them, or declare Noise(f, name, signed=True)"]
    if not math.isfinite(_log_joint(noise, "numpyro", _values(noise))):
        return ["its log joint is not finite at a draw of its own"]
    return []


def _of_log_joint(noise: Noise) -> list[str]:
    values = _values(noise)
    ours, theirs = (_log_joint(noise, name, values) for name in ("numpyro", "pyro"))
    if math.isclose(ours, theirs, rel_tol=1e-4, abs_tol=1e-4):
        return []
    return [f"{WARNING}its log joint at the same draw is {ours:.6g} in NumPyro and {theirs:.6g} in Pyro"]


def _values(noise: Noise, name: str = "numpyro") -> dict[str, np.ndarray]:
    """A draw of the latent sites at shape (3,); ones for an improper noise."""
    sites = _trace(noise, name, (3,), [])
    latent = (s for s in sites.values() if s["type"] == "sample" and not s["is_observed"])
    return {s["name"]: _numpy(s["value"]) for s in latent}


def _log_joint(noise: Noise, name: str, values: dict[str, np.ndarray]) -> float:
    """The log joint at these values, as numbers of the types that the language draws."""
    xp = language(name).xp
    program = lambda x: noise.program(ppl(x), NAME, (3,))  # noqa: E731
    types = {k: v.dtype for k, v in _values(noise, name).items()}
    given = {k: xp.asarray(np.array(v, types.get(k, v.dtype))) for k, v in values.items()}
    return float(log_joint(program, given, xp.ones(3)))


def _numpy(scales: Any) -> np.ndarray:
    return np.asarray(scales.detach() if hasattr(scales, "detach") else scales)
