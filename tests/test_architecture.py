"""Arrows run one way: what may import what, in function bodies too, and who may speak a language or name a paper."""

import ast
from functools import cache
from pathlib import Path

import noisezoo
import pytest

ROOT = Path(noisezoo.__file__).parent
# From the ground up: a module imports from its own floor and from those below it.
FLOORS = (
    *("errors", "interrupt", "data"),
    *("models.ppl", "models.laws", "models.unsampled", "models.noises", "models.weights", "models.networks"),
    *("models.likelihoods", "models.papers", "models.user_file", "models.catalogue", "models.views", "models.check"),
    *("inference.files", "inference.seals", "inference.provenance"),
    *("inference.target", "inference.strategies", "inference.driver"),
    *("inference.judging", "inference.references", "inference.sparsity", "inference.runs", "inference.calibration"),
    *("inference.sweeps", "cli"),
)
LANGUAGES = {"numpyro", "pyro"}
NUMPYRO = ("models.ppl", "inference.target.numpyro", "inference.strategies", "inference.driver")
PAPERS = {"scale_mixture", "structured_shrinkage", "empirical_bayes", "direction_magnitude", "sparse_vd"}
SIBLINGS = 12  # files in a folder, at most
LINES = 300  # of a file, at most


def sources(root=ROOT):
    """Module -> (source, whether it is a package), of all that is installed."""
    found = {}
    for file in sorted(root.rglob("*.py")):
        *folders, name = file.relative_to(root).with_suffix("").parts
        if folders and folders[0] in ("models", "inference", "data", "cli") or not folders and name != "setup":
            found[".".join(folders if name == "__init__" else [*folders, name])] = (
                file.read_text(),
                name == "__init__",
            )
    return found


@cache
def walked(code):
    """All nodes of a module's source."""
    return list(ast.walk(ast.parse(code)))


def imports(module, code, package, known):
    """The modules that a module imports: those of ours by their names without ``noisezoo``, others by their first."""
    for node in walked(code):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".") if module else []
            base = here[: len(here) + package - node.level] + (node.module or "").split(".") * bool(node.module)
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield (whole if whole in known else ".".join(base)), node.lineno


def floor(module):
    """The number of the floor that a module is on; None for the root and the packages over several floors."""
    on = [(len(name), i) for i, name in enumerate(FLOORS) if module == name or module.startswith(f"{name}.")]
    return max(on)[1] if on else None


def wrong_arrows(code):
    """Imports from a higher floor."""
    for module, (source, package) in code.items():
        for target, line in imports(module, source, package, code):
            ours, theirs = floor(module), floor(target)
            if target in code and ours is not None and theirs is not None and theirs > ours:
                yield f"{module}:{line} imports {target}, which lies above it"


def rings(code):
    """Groups of modules that import one another."""
    reach = {}
    direct = {m: {t for t, _ in imports(m, *of, code) if t in code and t != m} for m, of in code.items()}
    for module in code:
        seen, todo = set(), list(direct[module])
        while todo:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += direct[one]
        reach[module] = seen
    found = {
        tuple(sorted(m for m in reach[module] if module in reach[m])) for module in code if module in reach[module]
    }
    return [f"a ring: {' - '.join(ring)}" for ring in sorted(found)]


def strangers(code):
    """Languages imported where only programs in the language of their arrays belong."""
    for module, (source, package) in code.items():
        for target, line in imports(module, source, package, code):
            own = "pyro" in module.split(".") if target == "pyro" else module.startswith(NUMPYRO)
            if target in LANGUAGES and not (own or module.startswith("models.ppl")):
                yield f"{module}:{line} imports {target}"
            if target in ("jax", "torch") and module.startswith("models.") and not module.startswith("models.ppl"):
                yield f"{module}:{line} imports {target}"


def named_papers(code):
    """Papers that inference knows by name: imports, names in code, and words of its texts that are no docstrings."""
    for module, (source, package) in code.items():
        if not module.startswith("inference"):
            continue
        for target, line in imports(module, source, package, code):
            if target.startswith("models.papers"):
                yield f"{module}:{line} imports {target}"
        prose = {id(d) for n in walked(source) if (d := _docstring(n)) is not None}
        for node in walked(source):
            text = getattr(node, "value", "") if isinstance(node, ast.Constant) else getattr(node, "id", "")
            if isinstance(text, str) and id(node) not in prose and any(paper in text for paper in PAPERS):
                yield f"{module}:{node.lineno} names a paper: {text[:60]!r}"


def _docstring(node):
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    return first.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None


RULES = {"arrows": wrong_arrows, "rings": rings, "languages": strangers, "papers": named_papers}


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_its_rules(rule):
    assert list(RULES[rule](sources())) == []


@pytest.mark.parametrize(
    "rule, module, line",
    [
        ("arrows", "models.laws.penalties", "from ...inference.driver.fit import fit"),
        ("arrows", "inference.strategies.nuts", "def f():\n    from ..driver import fit"),
        ("arrows", "inference.driver.loop", "from .. import judging"),
        ("arrows", "models.weights.structure", "from ..networks import mlp"),
        ("rings", "inference.driver.records", "def f():\n    from . import checkpoint"),
        ("languages", "models.noises.dropout", "import numpyro.distributions as dist"),
        ("languages", "models.networks.dense", "def f():\n    from jax import numpy"),
        ("languages", "inference.judging.predict", "from numpyro import handlers"),
        ("languages", "inference.driver.loop", "import pyro"),
        ("papers", "inference.runs.run", "from ...models.papers import sparse_vd"),
        ("papers", "inference.runs.run", "FIX = 'use empirical_bayes'"),
    ],
)
def test_a_broken_rule_is_found(rule, module, line):
    code = sources()
    source, package = code[module]
    found = list(RULES[rule](code | {module: (f"{source}\n{line}\n", package)}))
    assert len(found) == 1 and all(part in found[0] for part in [module.split(".")[-1]]), found


def test_every_module_has_a_floor():
    alone = {"", "__main__", "py", "models", "inference"}
    assert [module for module in sources() if floor(module) is None and module not in alone] == []


def test_no_folder_is_crowded_and_no_file_is_long():
    crowded, long = {}, {}
    for file in ROOT.rglob("*.py"):
        folder = file.relative_to(ROOT).parts[:-1]
        if folder and folder[0] in ("models", "inference", "data", "cli"):
            crowded[folder] = crowded.get(folder, 0) + 1
            long[file] = len(file.read_text().splitlines())
    assert {folder: n for folder, n in crowded.items() if n > SIBLINGS} == {}
    assert {str(file): n for file, n in long.items() if n > LINES} == {}
