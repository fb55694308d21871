"""What is said of the papers: every name in it exists, every command parses, every site is in its program."""

import importlib
import re
import shlex
from pathlib import Path

import jax.numpy as jnp
import noisezoo
import pytest
from noisezoo.data.published import published
from noisezoo.inference.strategies.parse import parse
from noisezoo.models import catalogue
from noisezoo.models.networks import residual_mlp
from noisezoo.models.papers import PAPERS, paper
from numpyro import handlers
from numpyro.infer.initialization import init_to_uniform

ROOT = Path(noisezoo.__file__).parent
X = jnp.linspace(-1, 1, 12).reshape(4, 3)
Y = jnp.zeros(4)
every = pytest.mark.parametrize("name", PAPERS)


@every
def test_paper_says_who_wrote_it(name):
    p = paper(name)
    assert p.name == name and str(p.year) in p.citation and p.title in p.citation


def test_unknown_paper():
    with pytest.raises(ValueError, match="did you mean 'sparse_vd'"):
        paper("sparsevd")


def named(code):
    """What a dotted name within noisezoo names."""
    try:
        return importlib.import_module(f"noisezoo.{code}")
    except ModuleNotFoundError:
        module, _, attribute = f"noisezoo.{code}".rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def exists(code):
    if "/" in code:
        return (ROOT / code).is_file()
    if code.startswith("svi"):
        return bool(parse(code))
    if code.partition(".")[0] in ("models", "inference", "data"):
        return named(code) is not None
    return callable(catalogue.prior(code))


@every
def test_equations_are_where_they_are_said_to_be(name):
    for equation in paper(name).equations:
        assert not equation.code or exists(equation.code), equation


def test_a_name_that_is_not_there_is_noticed():
    with pytest.raises(AttributeError):
        exists("models.laws.penalties.ridge")
    assert not exists("notebooks/nothing.py")


@every
def test_sites_are_in_the_programs(name):
    """Every site that is named without a star is in one of the paper's programs, and no program has another."""
    p = paper(name)
    said = {part.strip() for site in p.sites for part in site.name.split(",")}
    said = {re.escape(part).replace("layerN", r"layer\d").replace(r"\*", ".*") for part in said}
    found = set()
    for spec in p.programs:
        model = catalogue.model(catalogue.prior(spec), residual_mlp(4, 4, activation="relu"), "regression")
        run = handlers.substitute(handlers.seed(model, 0), substitute_fn=init_to_uniform)
        sites = handlers.trace(run).get_trace(X, Y).values()
        found |= {
            s["name"] for s in sites if s["name"].startswith("layer") and s["type"] in ("sample", "deterministic")
        }
        strange = [k for k in found if not any(re.fullmatch(pattern, k) for pattern in said)]
        assert not strange, (spec, strange)
    unseen = [p for p in said if p.startswith("layer") and not any(re.fullmatch(p, k) for k in found)]
    assert not unseen


@every
def test_guide_and_commands_parse(name):
    p = paper(name)
    assert parse(p.guide)
    for command in map(shlex.split, p.run):
        if command[0] == "python":
            assert (ROOT / command[1]).is_file()
        elif command[1] == "compare":
            catalogue.prior(command[2])
            assert parse(command[command.index("--with") + 1] if "--with" in command else "svi")
        elif command[1] == "sweep":
            assert (ROOT / command[2]).is_file()
        else:
            assert command[1] == "trim"


@every
def test_results_are_told_where_it_says(name):
    file, _, anchor = paper(name).results.partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / file).read_text(), re.MULTILINE)
    assert anchor in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]


def test_published_numbers_stand_beside_ours_for_each():
    table = published("beside")
    assert set(table["paper"]) == set(PAPERS)
    assert table["ours"].notna().all()
