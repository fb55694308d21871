"""What messages advise exists: settings, guides, forms, options and commands named in the words of the package."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import noisezoo
import pytest
from noisezoo.cli import app
from noisezoo.inference.driver.loop import check_finite
from noisezoo.inference.strategies import STRATEGIES, config_class, guides
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.inference.strategies.parse import parse
from noisezoo.models.weights.parametrisation import AUTO, FORMS
from typer.main import get_command

ROOT = Path(noisezoo.__file__).parent
SVI_AND_GUIDES = {"svi", *GUIDES}
OWN = {name: {field.name for field in fields(config_class(name))} for name in STRATEGIES}
OF_GUIDES = {name: {field.name for field in fields(guides.config_class(name))} for name in GUIDES}
ALL = set().union(*OWN.values(), *OF_GUIDES.values())
COMMANDS = {name: {o for p in c.params for o in p.opts} for name, c in get_command(app).commands.items()}
MODULES = {**{k: v.module for k, v in STRATEGIES.items()}, **{k: v.module for k, v in GUIDES.items()}}


def texts():
    """File and text of every string of the package that is no docstring; what an f-string fills in is left out."""
    for folder in ("cli", "data", "inference", "models"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text())
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
                    yield file.relative_to(ROOT), "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose | inside:
                    yield file.relative_to(ROOT), node.value


TEXTS = [(file, text) for file, text in texts() if " " in text and "python notebooks/" not in text]


def wrong(file, text):
    """What a text names that is not there."""
    for found in re.findall(r"\b(?:svi|nuts|sgld|sghmc|sgnht|mclmc):[a-z_]+=[\w.-]+(?:,[a-z_]+=[\w.-]+)*", text):
        try:
            parse(found.replace("=GUIDE", "=map"))
        except ValueError as error:
            yield str(error)
    yield from (f"form={f}" for f in re.findall(r"\bform='?(\w+)", text) if f not in (*FORMS, AUTO))
    yield from (
        f"guide={g}" for g in re.findall(r"\bguide[= ]'?([a-z_]{2,})\b(?! )", text) if "=" in text and g not in GUIDES
    )
    yield from (f"noisezoo {c}" for c in re.findall(r"\bnoisezoo ([a-z]+)\b", text) if c not in COMMANDS)
    options = set().union(*COMMANDS.values()) | {"--help", "--host", "--port"}
    yield from (o for o in re.findall(r"(?<![\w-])--[a-z][a-z0-9]*", text) if o not in options)
    if file.parent.name in ("strategies", "guides"):
        served = [k for k, module in MODULES.items() if module == file.stem]
        shared = OWN["svi"] if file.parent.name == "guides" else set()
        served += SVI_AND_GUIDES if "svi" in served else []
        known = set().union(shared, *({**OWN, **OF_GUIDES}[k] for k in served)) if served else ALL
        yield from (s for s in re.findall(r"\b[a-z]+_[a-z_]+\b", text) if s in ALL - known)


def test_all_that_messages_name_is_there():
    assert len(TEXTS) > 500
    assert [f"{file}: {text!r} names {what}" for file, text in TEXTS for what in wrong(file, text)] == []


@pytest.mark.parametrize(
    "file, text",
    [
        ("inference/strategies/mclmc.py", "a smaller step_size may help"),
        ("inference/strategies/nuts.py", "raise kl_warmup"),
        ("inference/driver/loop.py", "use svi:guide=locl"),
        ("models/catalogue.py", "use form='hierarchic'"),
        ("cli/list.py", "see noisezoo lists"),
        ("cli/list.py", "give --structur"),
    ],
)
def test_what_is_not_there_is_found(file, text):
    assert list(wrong(Path(file), text))


@pytest.mark.parametrize("name", STRATEGIES)
def test_where_a_strategy_diverges_it_names_settings_of_its_own(name):
    with pytest.raises(FloatingPointError, match=f"^{name} stopped soon after step 7: loss is not finite; ") as error:
        check_finite(name, 7, {"info": {"loss": float("nan")}, "finite": {}})
    words = set(re.findall(r"\w+", str(error.value).partition(";")[2]))
    assert words & (ALL - {"start"}) <= OWN[name]
    assert words & OWN[name] or name == "nuts"
