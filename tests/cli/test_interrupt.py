"""Ctrl-C and SIGTERM end a run at any moment, with exit code 130 and whatever is finished."""

import os
import signal
import subprocess
import sys
import time

import pytest

LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where tests run detached


def started(folder, code):
    """A process that runs this code and then the command line."""
    words = ["noisezoo", "compare", "half_cauchy", "--data", "diabetes", "--no-progress", "--out", str(folder / "run")]
    begin = "from noisezoo.__main__ import main; print('begun', flush=True); main()"
    main = f"{LISTEN}; import sys; sys.argv = {words!r}; {code}; {begin}"
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", main], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", [0.5, 2.0])
def test_the_first_seconds(tmp_path, number, wait):
    process = started(tmp_path, "pass")
    time.sleep(wait)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130


SWALLOWED = """
import gc, os, signal, threading
def callback(phase, info):
    gc.callbacks.remove(callback)
    os.kill(os.getpid(), signal.SIGINT)  # raised in here, where it is printed and forgotten
    sum(range(1000))
threading.Timer(1.0, lambda: gc.callbacks.append(callback)).start()
"""


def test_an_interrupt_in_a_callback_is_heard(tmp_path):
    code = f"exec({SWALLOWED!r})"
    process = started(tmp_path, code)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_step_that_does_not_listen_is_left(tmp_path):
    """Such as a compilation: here, one that catches all and goes on."""
    deaf = (
        "import noisezoo.cli as c, time\n"
        "def app():\n"
        "    end = time.monotonic() + 60\n"
        "    while time.monotonic() < end:\n"
        "        try: time.sleep(60)\n"
        "        except KeyboardInterrupt: pass\n"
        "c.app = app"
    )
    process = started(tmp_path, f"exec({deaf!r})")
    time.sleep(2.0)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - began < 20


def test_with_draws_to_keep_only_the_second_is_at_once(tmp_path):
    keeping = (
        "import noisezoo.cli as c, noisezoo.interrupt as i, time\n"
        "def app():\n"
        "    i.keep()\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        time.sleep(i.GRACE + 1)\n"
        "        print('kept', flush=True)\n"
        "        time.sleep(60)\n"
        "c.app = app"
    )
    process = started(tmp_path, f"exec({keeping!r})")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "kept\n"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - began < 20
