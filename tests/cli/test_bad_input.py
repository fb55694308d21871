"""A catalogue of bad input: each gets one sentence and its exit code, and leaves nothing behind.

Settings and parameters at their edges are generated from the configs and the signatures, so that a new one is here as
soon as it is there.
"""

import inspect
import json
from dataclasses import fields

import pytest
from noisezoo.cli import app
from noisezoo.inference.driver import fit as fit_module
from noisezoo.inference.strategies import STRATEGIES, config_class, guides
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.models.catalogue import PRIORS
from noisezoo.models.noises import NOISES
from typer.testing import CliRunner

EDGES = ("0", "-1", "nan", "inf", "-inf", "1e308", "1e-300", "2**3", "")
MAY_BE_ZERO = {
    *("decay", "explore", "kl_weight", "pretrain", "kl_warmup", "log_scale_max", "loc", "b", "approximate"),
    "half_draws",
    "adjusted",
}
MAY_BE_NEGATIVE = {"log_scale_max", "loc"}


def edges(name):
    """The values that a number called `name` cannot have."""
    allowed = {*(("0",) if name in MAY_BE_ZERO else ()), *(("-1", "1e-300") if name == "loc" else ())}
    allowed |= {"-1"} if name in MAY_BE_NEGATIVE else set()
    return [value for value in EDGES if value not in allowed]


def numeric(kind):
    return [f for f in fields(kind) if "int" in str(f.type) or "float" in str(f.type)]


def of_settings():
    for name in STRATEGIES:
        for field in numeric(config_class(name)):
            whole = ("1.5", "4294967296") if "int" in str(field.type) else ()
            for value in (*edges("lr" if name == "svi" else field.name), *whole):
                if (name, field.name, value) != ("svi", "decay", "0"):
                    yield ("compare", "half_cauchy", "--data", "diabetes", "--with", f"{name}:{field.name}={value}")
    for guide in GUIDES:
        for field in numeric(guides.config_class(guide)):
            for value in edges(field.name):
                words = f"svi:guide={guide},{field.name}={value}"
                yield ("compare", "half_cauchy", "--data", "diabetes", "--with", words)


def of_noises():
    for name, noise in NOISES.items():
        for parameter in inspect.signature(noise).parameters:
            for value in edges(parameter if name == "log_normal" else "a"):
                yield ("show", f"{name}:{parameter}={value}")


def of_priors():
    for name, prior in PRIORS.items():
        for parameter, facts in inspect.signature(prior).parameters.items():
            text = isinstance(facts.default, str)
            of_student = name == "student_t" and parameter == "b"
            for value in ("nothing", "") if text else edges("a" if of_student else parameter):
                alpha = "alpha=0.1," if name.startswith(("rotation", "tangent", "projected")) else ""
                words = f"{name}:{'' if parameter == 'alpha' else alpha}{parameter}={value}"
                if (parameter, value) != ("magnitude_alpha", "0.1"):
                    yield ("compare", words, "--data", "diabetes", "--with", "svi")


COMPARE = ("compare", "half_cauchy", "--data", "diabetes", "--with", "svi")
NAMED = {
    ("list", "nutz"): "did you mean 'nuts'",
    ("list", "nuts:draws=3"): "show takes a strategy or its guide",
    ("list", "svi:guide=locl"): "did you mean 'local'",
    ("list", ""): "unknown strategy ''",
    ("show", "half_cauchi"): "did you mean 'half_cauchy'",
    ("show", "nutz"): "did you mean 'nuts'",
    ("show", "svi:guide="): "unknown guide ''",
    ("show", "svi:local"): "show takes",
    ("show", ""): "unknown noise or strategy ''",
    ("show", ":"): "unknown noise or strategy ''",
    ("show", "half_cauchy:scale"): "write a setting as name=value",
    ("show", "half_cauchy:=1"): "unknown setting",
    ("show", "half_cauchy:scal=1"): "did you mean 'scale'",
    ("show", "half_cauchy:scale=1,scale=2"): "given twice",
    ("show", "uniform:a=1"): "has no settings",
    ("show", "sparse_vd"): "take it to noisezoo compare",
    ("show", "half_cauchy", "--out", "nowhere/there/x.png"): "there is no folder nowhere/there",
    ("show", "half_cauchy", "--out", "folder"): "a figure is a file that ends in",
    ("check", "half_cauchi"): "did you mean 'half_cauchy'",
    ("check", "nowhere.py:mine"): "there is no file nowhere.py",
    ("check", "normal"): "a prior of weights",
    ("papers", "sparse"): "did you mean 'sparse_vd'",
    ("papers", ""): "unknown paper ''",
    (*COMPARE, "--structure", "arrd"): "did you mean 'ard'",
    (*COMPARE, "--structure", ""): "unknown structure ''",
    (*COMPARE, "--form", "expandedd"): "did you mean 'expanded'",
    (*COMPARE, "--form", "marginal"): "no marginal that both languages can sample",
    (*COMPARE, "--ppl", "pymc"): "choose 'numpyro' or 'pyro'",
    (*COMPARE, "--seed", "-1"): "a seed must lie between 0 and 4294967295, got -1",
    (*COMPARE, "--seed", "4294967296"): "a seed must lie between 0 and 4294967295",
    (*COMPARE, "--seed", "99999999999999999999999"): "a seed must lie between",
    (*COMPARE, "--seed", "-1", "--ppl", "pyro"): "a seed must lie between",
    (*COMPARE, "--split", "-1"): "there is no split -1",
    (*COMPARE, "--split", "20"): "there is no split 20",
    (*COMPARE, "--split", "99999999999999999999"): "there is no split",
    (*COMPARE, "--out", "a file"): "cannot write to the run folder",
    (*COMPARE, "--out", "a file/run"): "cannot write to the run folder",
    (*COMPARE[:3], "diabets"): "did you mean 'diabetes'",
    (*COMPARE[:3], ""): "unknown data set ''",
    (*COMPARE[:3], "table.csv"): "say which column",
    (*COMPARE[:3], "nowhere.csv:y"): "there is no table",
    (*COMPARE[:3], "table.csv:z"): "z",
    (*COMPARE[:3], "empty.csv:y"): "empty.csv is empty",
    (*COMPARE[:3], "a file.csv:y"): "a file.csv",
    ("compare", "bernoulli", "--data", "diabetes", "--form", "hierarchical"): "use form='expanded'",
    ("compare", "sparse_vd", "--data", "diabetes", "--structure", "iid"): "leave structure, form and sigma0 out",
    ("compare", "projected", "--data", "diabetes"): "needs its alpha",
    ("compare", "normal:sigma0", "--data", "diabetes"): "write a setting as name=value",
    ("compare", "scale_mixture:scale=bernouli", "--data", "diabetes"): "did you mean 'bernoulli'",
    ("calibrate",): "name a prior, such as half_cauchy, or ask for the atlas",
    ("calibrate", "half_cauchi"): "did you mean 'half_cauchy'",
    ("calibrate", "half_cauchy", "--simulations", "5"): "simulations must lie between 20 and 10,000, got 5",
    ("calibrate", "half_cauchy", "--structure", "adr"): "did you mean 'ard'",
    ("calibrate", "half_cauchy", "--with", "nutz"): "did you mean 'nuts'",
    ("calibrate", "half_cauchy", "--ppl", "pymc"): "choose 'numpyro' or 'pyro'",
    ("calibrate", "half_cauchy", "--data", "diabets"): "did you mean 'diabetes'",
    ("calibrate", "half_cauchy", "--seed", "-1"): "a seed must lie between",
    ("calibrate", "half_cauchy", "--out", "a file"): "cannot write to the folder",
    ("calibrate", "bernoulli", "--form", "hierarchical"): "use form='expanded'",
    ("calibrate", "--atlas", "--data", "diabetes"): "leave --data or --atlas out",
    ("report", "nowhere"): "holds no run",
    ("report", "folder"): "holds no run",
    ("report", "a file"): "is not a folder",
    ("report", "broken"): "is not whole",
    ("report", "begun"): "lists no fits",
    ("trim", "nowhere"): "holds no run",
    ("trim", "a file"): "is not a folder",
    ("trim", "broken"): "is not whole",
    ("trim", "unfitted"): "no fit with a guide of independent normals",
    ("trim", "unfitted", "--strategy", "svii"): "did you mean 'svi'",
    ("trim", "unfitted", "--strategy", "svi"): "svi has no fit in this run",
    ("prune", "nowhere"): "holds no run",
    ("prune", "a file"): "is not a folder",
    ("prune", "broken"): "is not whole",
    ("prune", "unfitted"): "no fit with weights to prune",
    ("prune", "unfitted", "--strategy", "svii"): "did you mean 'svi'",
    ("prune", "unfitted", "--strategy", "svi"): "svi has no fit in this run",
    ("sweep", "nowhere.toml"): "there is no file nowhere.toml",
    ("sweep", "folder"): "folder is a folder, not a file",
    ("sweep", "latin.toml"): "is not UTF-8 text",
}
NETWORKS = {
    **{"mpl:50": "did you mean 'mlp'", "": "unknown network ''", "mlp": "needs the widths", "mlp:": "needs the widths"},
    **{"mlp:0": "positive integers", "mlp:-5": "whole numbers", "mlp:5-": "whole numbers", "mlp:x": "whole numbers"},
    **{"mlp:1.5": "whole numbers", "mlp:nan": "whole numbers", "mlp:1e3": "whole numbers", "mlp:5-0": "positive"},
    **{"mlp:10000000000": "at most 1,000,000 units", "residual_mlp:": "needs the widths", "linear:5": "no settings"},
    **{"mlp:5,activation=sin": "unknown activation 'sin'", "mlp:5,activation": "name=value", "lenet5:1": "no settings"},
    **{"mlp:5,bias=2": "bias must be 0 or 1", "mlp:5,bias=": "name=value", "mlp:5,act=relu": "unknown setting"},
    **{"mlp:5,bias=0,bias=1": "given twice", "mlp:５５５５５５５": "at most 1,000,000 units"},
}
STRATEGY = {
    **{"nutz": "did you mean 'nuts'", "svi,": "nothing after a comma", ",": "", "": "begin with a strategy"},
    **{
        "svi,svi": "asked for twice",
        "steps=5": "begin with a strategy",
        "svi:steps": "name=value",
        "svi:=5": "name=value",
    },
    **{"svi:steps=5,steps=6": "given twice", "svi:guide=locl": "did you mean 'local'", "svi:guide=": "name=value"},
    **{
        "nuts:mass=dens": "did you mean 'dense'",
        "nuts:method=fast": "unknown method",
        "sgld:schedule=x": "unknown schedule",
    },
    **{
        "nuts:max_tree_depth=31": "at most 30",
        "nuts:target_accept=1": "between 0 and 1",
        "mclmc:warmup=10": "at least 1000",
    },
    **{"nuts:draws=2e9": "; lower draws", "svi,sgld:draws=2e9": "sgld: 2,000,000,000 draws of 4 chains, each of "},
    **{"sgld:decay=1,schedule=cyclical": "leave it out", "sgld:explore=0.5": "set schedule=cyclical"},
    **{"sgld:schedule=cyclical,thin=1": "raise thin", "sgld:preconditioner=adam": "unknown preconditioner"},
    **{"sgld:preconditioner=rmsprop": "needs a step_size", "sghmc:step_size=atuo": "did you mean 'auto'"},
    **{"sgld:step_size=0.1,tolerance=0.01": "a setting of step_size=auto"},
    **{"sgnht:schedule=cyclical,half_draws=9": "leave it out of the cyclical"},
    **{"svi:batch_size=1000": "batch_size 1000 is more than", "svi:plane=rows": "is a setting of the guide local"},
    **{"svi:guide=local,alpha=1,parameters=alpha": "leave out parameters", "svi:guide=local,kl=max": "unknown kl"},
    **{"svi:guide=local,alpha=1,log_scale_max=-4": "log_scale_max bounds", "svi:guide=dropout,mask=x": "unknown mask"},
    **{"svi:guide=local,plane=x": "unknown plane", "svi:guide=dropout,prediction=x": "unknown prediction"},
    **{"nuts:warmp=5": "noisezoo show nuts says what each means", "svi:guide=map,lrr=1": "did you mean 'lr'"},
}
TOML = {
    "": "names no models",
    "x": "is not TOML",
    "[models": "is not TOML",
    "[models.a]\nprior = 'half_cauchy'\n[models.a]": "is not TOML",
    "a = " + "[" * 2000: "nests too deeply",
    "speed = 3": "unknown key 'speed'",
    "ppl = 3": "ppl must be text",
    "ppl = 'pymc'": "choose 'numpyro' or 'pyro'",
    "models = 3": "names no models",
    "[models]\na = 3": "a model is a table with a prior",
    "[models.a]\nform = 'expanded'": "a model is a table with a prior",
    "[models.a]\nprior = 3": "prior must be text",
    "[models.a]\nprior = 'half_cauchi'": "did you mean 'half_cauchy'",
    "[models.a]\nprior = 'nowhere.py:mine'": "there is no file",
    "[models.a]\nprior = 'half_cauchy'\nprio = 3": "did you mean 'prior'",
    "[models.a]\nprior = 'half_cauchy:scale=1e308'": "scale must be positive and finite",
    **{
        f"[models.a]\nprior = 'half_cauchy'\n{key} = {value}": said
        for key in ("sigma0", "precision")
        for value, said in {
            **dict.fromkeys(("0.0", "-1.0", "nan", "inf", "1e308", "1e-300"), "must be positive and finite"),
            **dict.fromkeys(("'one'", "true", "[1.0]"), "must be a number"),
            "1" + "0" * 400: "",
        }.items()
    },
    "[models.a]\nprior = 'half_cauchy'\nnetwork = 'mlp'": "needs the widths",
    "[models.a]\nprior = 'half_cauchy'": "names no strategies",
}
STRATEGY_TABLES = {
    "[strategies]\ns = 3": "s must be text",
    "[strategies]\ns = 'nutz'": "did you mean 'nuts'",
    "[strategies]\ns = 'svi,nuts'": "write one strategy, not 2",
    "[strategies]\ns = 'svi:lr=1e-300'": "lr must be 0 or between",
    "[strategies.s]\nepochs = 3": "write the strategy as with",
    "[strategies.s]\nwith = 'svi'\nepochs = 0": "epochs must be at least 1",
    "[strategies.s]\nwith = 'svi'\nepochs = 1.5": "epochs must be a whole number",
    "[strategies.s]\nwith = 'svi'\nepochs = 99999999999999999999": "epochs",
    "[strategies.s]\nwith = 'nuts'\nepochs = 5": "leave epochs out",
    "[strategies.s]\nwith = 'svi:steps=5'\nepochs = 5": "leave one of them out",
    "[strategies.s]\nwith = 'svi'\nspeed = 5": "unknown setting of a strategy",
    "[strategies]\ns = 'svi'": "has no [[grid]]",
}
GRIDS = {
    "grid = 3": "grid must be text",
    "[grid]\ndata = ['yacht']": "a grid begins with [[grid]]",
    "[[grid]]\nsplits = 3": "say on which data",
    "[[grid]]\ndata = 'yacht'": "must be a list of names",
    "[[grid]]\ndata = []": "must be a list of names",
    "[[grid]]\ndata = [3]": "must be a list of names",
    "[[grid]]\ndata = ['yachd']": "did you mean 'yacht'",
    "[[grid]]\ndata = ['nowhere.csv:y']": "there is no file",
    "[[grid]]\ndata = ['yacht']\nmodel = ['a']": "did you mean 'models'",
    "[[grid]]\ndata = ['yacht']\nmodels = ['b']": "unknown model 'b'",
    "[[grid]]\ndata = ['yacht']\nstrategies = ['t']": "unknown strategy 't'",
    **{
        f"[[grid]]\ndata = ['yacht']\n{key} = {value}": ""
        for key in ("splits", "seeds")
        for value in ("0", "-1", "1.5", "nan", "inf", "true", "'two'", "[]", "[-1]", "[1.5]", "[[1]]", "{}")
    },
    "[[grid]]\ndata = ['yacht']\nsplits = 21": "there is no split",
    "[[grid]]\ndata = ['yacht']\nsplits = [99999999999999999999]": "there is no split",
    "[[grid]]\ndata = ['yacht']\nseeds = [4294967296]": "a seed must lie between",
    "[[grid]]\ndata = ['yacht']\nseeds = 100000000": "",
    "[[grid]]\ndata = ['yacht']\nseeds = 99999999999999999999": "",
}
MODEL, WHOLE = "[models.a]\nprior = 'half_cauchy'\n", "[models.a]\nprior = 'half_cauchy'\n[strategies]\ns = 'svi'\n"
SWEEPS = {**TOML, **{MODEL + k: v for k, v in STRATEGY_TABLES.items()}, **{WHOLE + k: v for k, v in GRIDS.items()}}
FUNCTION = "def mine(p, name, shape):\n    "
FILES = {
    "def mine(:": "line 1 does not import: SyntaxError",
    "raise SystemExit(3)": "line 1 does not import: SystemExit",
    "import sys\nsys.exit()": "line 2 does not import: SystemExit",
    "exit(0)": "line 1 does not import",
    "import nothing_of_this_name": "line 1 does not import: ModuleNotFoundError",
    "1 / 0": "line 1 does not import: ZeroDivisionError",
    "x = 1\nraise Exception": "line 2 does not import: Exception",
    "raise Exception('one\\n\\ntwo')": "does not import: Exception: one two",
    "def f(): f()\nf()": "line 1 does not import: RecursionError",
    "mine = 3": "mine in noise.py is a int",
    "mine = None": "mine in noise.py is a NoneType",
    "other = 3": "unknown function of noise.py 'mine'",
    "": "unknown function of noise.py 'mine'",
    "\0": "noise.py",
    "input()": "line 1 does not import: ",
}
FUNCTIONS = {
    "1 / 0": "line 2: ZeroDivisionError",
    "import sys; sys.exit(0)": "line 2: RuntimeError: the noise ends the program",
    "quit()": "line 2: RuntimeError: the noise ends the program",
    "raise ValueError('mine\\nis long')": "line 2: ValueError: mine is long",
    "raise KeyError": "line 2: KeyError",
    "return p.nothing": "line 2: AttributeError",
    "return mine(p, name, shape)": "line 2: RecursionError",
    "return 1.0": "mine returned a float where scales of shape () were asked for",
    "return None": "mine returned a NoneType",
    "return p.xp.ones((7,))": "mine returned shape (7,)",
    "return p.sample(name, 3)": "line 2: ",
    "return p.sample(name, p.dist.Normal(0, -1).expand(shape).to_event(len(shape)))": "",
    "return p.sample(name, p.dist.HalfNormal(1.0)) / 0.0 * p.xp.ones(shape)": "draws of |scale| overflow",
    "return 0.0 * p.sample(name, p.dist.HalfNormal(1.0).expand(shape).to_event(len(shape)))": "are zero",
}
CASES = {
    **dict.fromkeys((*of_settings(), *of_noises(), *of_priors()), ""),
    **NAMED,
    **{("compare", "half_cauchy", "--data", "diabetes", "--network", spec): said for spec, said in NETWORKS.items()},
    **{("compare", "half_cauchy", "--data", "diabetes", "--with", spec): said for spec, said in STRATEGY.items()},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with things that are not what they should be."""
    folder = tmp_path_factory.mktemp("work")
    for name in ("folder", "broken", "begun", "unfitted"):
        (folder / name).mkdir()
    (folder / "a file").write_text("")
    (folder / "a file.csv").write_bytes(b"\x00\xff\x00")
    (folder / "table.csv").write_text("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(40)))
    (folder / "empty.csv").write_text("")
    (folder / "latin.toml").write_bytes("é".encode("latin-1"))
    (folder / "broken" / "run.json").write_text("{")
    (folder / "begun" / "run.json").write_text("{}")
    fits = {"svi": {"status": "failed", "file": "svi.nc", "why": "", "settings": {}}}
    options = {"data": "diabetes", "split": 0, "network": "linear"}
    words = {"title": "", "prior": "normal", "started": "", "versions": {}, "data_sha256": ""}
    (folder / "unfitted" / "run.json").write_text(json.dumps({**words, "fits": fits, "options": options}))
    return folder


@pytest.fixture
def said(folder, monkeypatch):
    """Give a command bad input in that folder; gives its sentence, and sees to the rest."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(fit_module, "fit", None)  # nothing is computed

    def run(*words, code=2, start="noisezoo: "):
        before = sorted(folder.rglob("*"))
        result = CliRunner().invoke(app, list(words), env={"COLUMNS": "400"})
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        assert sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) == before
        assert result.output.startswith(start) and result.output.count("\n") == 1, result.output
        assert 20 < len(result.output) < 1000
        return result.output

    return run


@pytest.mark.timeout(60)
@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_bad_words_get_one_sentence(said, words):
    if "pyro" in words:
        pytest.importorskip("pyro")
    assert CASES[words] in said(*words)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", SWEEPS, ids=map(str, range(len(SWEEPS))))
def test_a_bad_sweep_gets_one_sentence(said, folder, text):
    (folder / "sweep.toml").write_text(text)
    assert SWEEPS[text] in said("sweep", "sweep.toml")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", [*FILES, *(FUNCTION + body for body in FUNCTIONS)])
@pytest.mark.parametrize("command", ["show", "check"])
def test_a_bad_noise_file_gets_one_sentence(said, folder, command, text):
    (folder / "noise.py").write_text(text)
    if text in FILES:
        assert FILES[text] in said(command, "noise.py:mine")
    elif command == "show":
        assert FUNCTIONS[text.removeprefix(FUNCTION)] in said(command, "noise.py:mine")
    else:
        output = said(command, "noise.py:mine", code=1, start="mine: ")
        assert "noise.py, line 2" in output or "raises" not in output


def test_the_catalogue_is_long():
    assert len(CASES) + len(SWEEPS) + 2 * len(FILES) + len(FUNCTIONS) > 900


@pytest.mark.parametrize(
    "words",
    [
        ("nothing",),
        ("show",),
        ("compare",),
        ("compare", "half_cauchy"),
        ("compare", "half_cauchy", "--dta", "diabetes"),
        (*COMPARE, "--seed", "one"),
        (*COMPARE, "--split", "1.5"),
        ("sweep", "sweep.toml", "--jobs", "0"),
        ("sweep", "sweep.toml", "--jobs", "many"),
        ("trim", "folder", "--threshold", "high"),
        ("list", "svi", "nuts"),
        ("papers", "one", "two"),
    ],
    ids=" ".join,
)
def test_words_that_no_command_takes_end_in_the_usage(folder, monkeypatch, words):
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2 and "Usage:" in result.output and "Error" in result.output
    assert sorted(folder.rglob("*")) == before
