"""Strategies in words: what they mean, and what is said of words that mean nothing."""

import re
import subprocess
import sys

import pytest
from noisezoo.inference import strategies
from noisezoo.inference.strategies import guides, nuts, parse, sgld
from noisezoo.inference.strategies.guides.automatic import LowRank
from noisezoo.inference.strategies.guides.map import Map
from noisezoo.inference.strategies.svi import SVI


def test_bare_names_are_the_defaults():
    assert parse.parse("svi,nuts,sgld") == {"svi": SVI(), "nuts": nuts.NUTS(), "sgld": sgld.SGLD()}


def test_settings_belong_to_the_strategy_before_them():
    found = parse.parse("svi:guide=low_rank,steps=5000,nuts:draws=200,sgld")
    assert found == {
        "svi:low_rank": SVI(LowRank(), steps=5000),
        "nuts": nuts.NUTS(draws=200),
        "sgld": sgld.SGLD(),
    }


def test_values_have_the_types_of_the_config():
    config = parse.parse("svi:lr=1e-3,steps=1e4,batch_size=32,guide=map")["svi:map"]
    assert config == SVI(Map(), steps=10_000, lr=0.001, batch_size=32)
    assert type(config.steps) is int and type(config.batch_size) is int
    assert parse.parse("sgld:batch_size=none")["sgld"].batch_size is None


@pytest.mark.parametrize(
    "text, labels",
    [
        ("svi,svi:guide=low_rank", ["svi", "svi:low_rank"]),
        ("nuts,nuts:mass=dense", ["nuts", "nuts:mass=dense"]),
        ("svi:guide=map,steps=10,svi:guide=map,steps=20", ["svi:guide=map,steps=10", "svi:guide=map,steps=20"]),
        (" svi , nuts ", ["svi", "nuts"]),
    ],
)
def test_labels_tell_strategies_apart(text, labels):
    assert list(parse.parse(text)) == labels


@pytest.mark.parametrize(
    "text, said",
    [
        ("nutz", "unknown strategy 'nutz'; did you mean 'nuts'"),
        ("svi:gide=map", "unknown setting of svi 'gide'; did you mean 'guide'"),
        ("svi:guide=low_rnk", "unknown guide 'low_rnk'; did you mean 'low_rank'"),
        ("nuts:mass=dens", "did you mean 'dense'"),
        ("svi:steps=many", "svi: steps must be a whole number, got 'many'"),
        ("svi:steps=1.5", "svi: steps must be a whole number, got '1.5'"),
        ("svi:lr=nan", "svi: lr must be a number, got 'nan'"),
        ("svi:lr=inf", "svi: lr must be a number, got 'inf'"),
        ("svi:lr=-1", "svi: lr must be positive"),
        ("svi:low_rank", "svi: write a setting as name=value"),
        ("svi:steps=", "svi: write a setting as name=value"),
        ("svi:steps=10,steps=20", "svi: steps is given twice"),
        ("steps=10,svi", "begin with a strategy"),
        ("svi,", "nothing after a comma"),
        ("svi,,nuts", "nothing after a comma"),
        ("", "begin with a strategy"),
        ("nuts,nuts", "'nuts' is asked for twice"),
    ],
)
def test_bad_words_get_one_sentence(text, said):
    with pytest.raises(ValueError, match="^[^\n]+$") as error:
        parse.parse(text)
    assert said in str(error.value)


def test_every_strategy_and_guide_is_listed():
    for name in strategies.STRATEGIES:
        assert parse.config(name, {}).name == name  # each has a module and a config of its name
    for name in guides.GUIDES:
        assert parse.svi(guide=name).guide.name == name


@pytest.mark.parametrize("name", guides.GUIDES)
def test_settings_make_their_config_again(name):
    config = parse.svi(guide=name, steps=7)
    assert parse.config("svi", parse.settings(config)) == config
    assert parse.given(config) == {"steps": 7} | ({} if name == "mean_field" else {"guide": name})


def test_a_setting_is_answered_from_those_of_its_guide():
    for text, said in {
        "svi:guide=local,kl_wamup=3": "unknown setting of svi:guide=local 'kl_wamup'; did you mean 'kl_warmup'",
        "svi:guide=map,plane=rows": "svi: plane is a setting of the guide local, not of the guide map",
        "svi:sweeps=2": "svi: sweeps is a setting of the guide em, not of the guide mean_field",
        "svi:guide=laplace,alpha=1": "alpha is a setting of the guides local, flipout and em, not of the guide laplace",
    }.items():
        with pytest.raises(ValueError, match=re.escape(said)):
            parse.parse(text)
    with pytest.raises(TypeError, match="guide takes the settings of a guide"):
        SVI(guide="local")  # type: ignore[arg-type]


def test_the_lists_need_no_jax():
    code = "import sys, noisezoo.inference.strategies; sys.exit(bool({'jax', 'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
