"""A noise from a file of the user's own.

What the file prints, when it is imported and when its program is run, goes to stderr: stdout is for results.
"""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import wraps
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from typing import Any

from ..errors import OWN_FILES, line_of_own_file, unknown
from .noises import Noise, as_noise

PRINTING = RLock()


def from_file(spec: str) -> Noise:
    """The noise that a Python file defines, ``path/to/my_noise.py:function``: a function or a `Noise`.

    Raises FileNotFoundError, ImportError if the file does not import, ValueError if it has no such function, and
    TypeError if it is not a function.
    """
    file, _, name = spec.rpartition(":") if not spec.endswith(".py") else (spec, "", "")
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {file}; check the path of your noise")
    module = _run(path)
    functions = [k for k, v in vars(module).items() if _is_own(k, v, module)]
    if not name:
        example = functions[0] if functions else "function"
        raise ValueError(f"say which function of {file} is the noise, as in '{file}:{example}'")
    if not hasattr(module, name):
        raise unknown(f"function of {file}", name, functions)
    function = getattr(module, name)
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(f"{name} in {file} is a {kind}; a noise is a function (p, name, shape) -> scales")
    return _without_exit(as_noise(function))


def _run(path: Path) -> Any:
    """The module in the file `path`, its own folder importable while it runs."""
    name = f"_noise_file_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a file that ends in .py always has both
    module = module_from_spec(spec)
    OWN_FILES[spec.origin or str(path)] = str(path)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with _prints_to_stderr():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        broken = f"{path}, line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        place = broken or line_of_own_file(error) or str(path)
        raise ImportError(f"{place} does not import: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def _without_exit(noise: Noise) -> Noise:
    """The noise, whose program raises RuntimeError where it would end the process."""

    @wraps(noise.program)
    def program(p: Any, name: str, shape: tuple[int, ...]) -> Any:
        try:
            with _prints_to_stderr():
                return noise.program(p, name, shape)
        except SystemExit as error:
            raise RuntimeError("the noise ends the program; let it return scales instead") from error

    return replace(noise, program=program)


@contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """`redirect_stdout`, one thread at a time: two that put it back in turn would leave it where it does not belong."""
    with PRINTING, redirect_stdout(sys.stderr):
        yield


def _is_own(name: str, value: Any, module: Any) -> bool:
    """Whether `value` is a noise that the module itself defines."""
    return not name.startswith("_") and (
        isinstance(value, Noise) or (inspect.isfunction(value) and value.__module__ == module.__name__)
    )
