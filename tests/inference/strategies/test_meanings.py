"""Every setting has a meaning, and it is the one in its config's docstring."""

import pytest
from noisezoo.inference.strategies import STRATEGIES, config_class, guides
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.inference.strategies.meanings import about, settings_of

CONFIGS = {**{k: config_class(k) for k in STRATEGIES}, **{k: guides.config_class(k) for k in GUIDES}}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_has_a_meaning_of_its_own(name):
    found = settings_of(CONFIGS[name])
    assert all(len(setting.meaning) > 5 for setting in found)
    assert len({setting.meaning for setting in found}) == len(found)


def test_the_tables_of_svi_tell_its_own_settings_and_those_of_its_guides():
    own, of_guides = about("svi")[1].values()
    assert [row[0] for row in own][:3] == ["guide", "steps", "lr"]
    assert {"kl_warmup", "plane", "mask", "sweeps"} <= {row[0] for row in of_guides}
    special, shared = about("svi:guide=local")[1].values()
    assert {"kl_warmup", "plane"} <= {row[0] for row in special} and shared == own
    assert "of its own" in about("svi:guide=map")[1]["svi:guide=map,SETTING=VALUE"][0][2]


@pytest.mark.parametrize(
    "spec, default", [("sgld", "auto"), ("sghmc", "0.06"), ("sgnht", "20000"), ("mclmc", "0.0005")]
)
def test_inherited_settings_and_defaults_are_told(spec, default):
    (rows,) = about(spec)[1].values()
    assert default in {row[1] for row in rows}


@pytest.mark.parametrize(
    "spec, said",
    [
        ("nutz", "did you mean 'nuts'"),
        ("svi:guide=locl", "did you mean 'local'"),
        ("svi:guide=", "unknown guide ''"),
        ("nuts:draws=3", "show takes a strategy or its guide"),
        ("svi:local", "show takes a strategy or its guide"),
    ],
)
def test_what_has_no_settings_is_one_sentence(spec, said):
    with pytest.raises(ValueError, match="^[^\n]+$") as error:
        about(spec)
    assert said in str(error.value)
