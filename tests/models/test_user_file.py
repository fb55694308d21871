"""What goes wrong in a file of the user's own is said with its line."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import pytest
from noisezoo.errors import sentence
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.parse import parse
from noisezoo.models import catalogue
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl import ppl
from noisezoo.models.ppl.programs import simulate
from noisezoo.models.weights.parametrisation import prior

BODIES = {
    "return 1 / 0": "line 4: ZeroDivisionError: division by zero",
    "return p.dist.Nonsense(1.0)": "line 4: AttributeError: ",
    "sys.exit(3)": "line 4: RuntimeError: the noise ends the program; let it return scales instead",
    "raise ValueError('mine')": "line 4: ValueError: mine",
    "raise Exception": "line 4: Exception",
    "return helper(p, name)": "line 6: KeyError: 'scale'",
    "x = p.sample(name, p.dist.HalfNormal(1.0).expand(shape).to_event(len(shape)))\n    if (x > 0).all(): return x": (
        "line 5: TracerBoolConversionError"
    ),
}


def written(folder, body):
    text = f"import sys\n\ndef mine(p, name, shape):\n    {body}\ndef helper(p, name):\n    return {{}}['scale']\n"
    (folder / "mine.py").write_text(text)
    return f"{folder}/mine.py:mine"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("strategy", ["nuts", "svi"])
def test_an_error_in_the_function_names_its_line_while_it_is_traced(tmp_path, body, strategy):
    noise = catalogue.noise(written(tmp_path, body))
    program = catalogue.model(prior(noise), catalogue.network("linear"), "regression")
    with pytest.raises(Exception) as error:
        fit(program, parse(strategy)[strategy], jnp.ones((4, 2)), jnp.ones(4), progress=False)
    said = sentence(error.value)
    assert said.startswith(f"{tmp_path}/mine.py, ") and BODIES[body] in said
    assert "\n" not in said and len(said) < 400 + len(str(tmp_path))


def test_an_error_that_is_not_of_the_file_has_no_line(tmp_path):
    noise = catalogue.noise(written(tmp_path, "return p.xp.ones((7,))"))
    with pytest.raises(ValueError, match="^noise mine returned shape") as error:
        noise(ppl(jnp.ones(1)), "layer0.scale", (3,))
    assert sentence(error.value).startswith("noise mine returned shape")


LOOPS = {
    "while it is imported": "while True: pass\n",
    "while it is run": "def mine(p, name, shape):\n    print('in', flush=True)\n    while True: pass\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("when", LOOPS)
@pytest.mark.parametrize("command", ["check", "show"])
def test_ctrl_c_ends_a_file_that_loops(tmp_path, when, command):
    (tmp_path / "mine.py").write_text("print('in', flush=True)\n" + LOOPS[when])
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where tests run detached
    code = f"{listen}; from noisezoo.cli import app; app()"
    words = [sys.executable, "-c", code, command, f"{tmp_path}/mine.py:mine"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr is not None
    for _ in range(1 + ("run" in when)):
        assert process.stderr.readline() == "in\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in output + errors


def test_what_a_file_prints_goes_to_stderr(tmp_path, capsys, language):
    (tmp_path / "mine.py").write_text(
        "print('imported')\n\ndef mine(p, name, shape):\n    print('run')\n"
        "    return p.sample(name, p.dist.HalfNormal(1.0).expand(shape).to_event(len(shape)))\n"
    )
    noise = catalogue.noise(f"{tmp_path}/mine.py:mine")
    program = catalogue.model(prior(noise), catalogue.network("linear"), "regression")
    simulate(program, 0, language_of(language).xp.ones((4, 2)))
    print("a table")
    said = capsys.readouterr()
    assert said.out == "a table\n" and said.err.splitlines() == ["imported", "run"]


def test_two_threads_that_print_leave_stdout_where_it_is(tmp_path):
    (tmp_path / "mine.py").write_text("import time\ndef mine(p, name, shape):\n    time.sleep(shape)\n")
    noise, before = catalogue.noise(f"{tmp_path}/mine.py:mine"), sys.stdout
    with ThreadPoolExecutor(2) as pool:  # the second begins within the first, and ends after it
        list(pool.map(lambda seconds: noise.program(None, "scale", seconds), [0.05, 0.1]))
    assert sys.stdout is before
