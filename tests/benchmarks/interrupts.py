"""Ctrl-C and SIGTERM at random moments of the first seconds: how each run ends, and how soon.

python tests/benchmarks/interrupts.py 40 --out docs/results/benchmarks/interrupts.json
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMPARE = [sys.executable, "-m", "noisezoo", "compare", "half_cauchy", "--data", "diabetes", "--no-progress"]
LATEST = 12.0  # seconds after the start


def interrupted(wait: float, number: int) -> dict:
    """One run that gets a signal after so many seconds: its exit code, and how long it went on."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*COMPARE, "--out", str(Path(folder) / "run")]
        listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731  # where it is ignored
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=listen)
        time.sleep(wait)
        process.send_signal(number)
        began = time.monotonic()
        code = process.wait(timeout=60)
    return {
        "signal": signal.Signals(number).name,
        "after": round(wait, 2),
        "code": code,
        "seconds": time.monotonic() - began,
    }


def main() -> None:
    """Print a line for each run, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rng, rows = random.Random(0), []
    for i in range(arguments.runs):
        rows.append(interrupted(rng.uniform(0.3, LATEST), signal.SIGINT if i % 4 else signal.SIGTERM))
        print(rows[-1], flush=True)
    codes = [row["code"] for row in rows]
    result = {
        "runs": len(rows),
        "code_130": codes.count(130),
        "slowest_seconds": max(r["seconds"] for r in rows),
        "rows": rows,
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
