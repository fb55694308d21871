"""The memory of a process that fits one model after another, in several checkouts.

python tests/benchmarks/memory.py CHECKOUT... [--fits 45] [--out FILE.json]

Prints the resident memory after every fifth fit, in MB; each fit is of another model (a network of another width).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FITS = """
import resource, sys
from pathlib import Path
from noisezoo.cli import app
for i in range(int(sys.argv[1])):
    model = ["normal", "--network", f"mlp:{i + 1}", "--data", "diabetes"]
    words = ["--with", "svi:guide=mean_field,steps=20,draws=10", "--no-progress", "--out", f"runs/{i}"]
    app(["compare", *model, *words], standalone_mode=False)
    if i % 5 == 4:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print("MB", i + 1, pages * resource.getpagesize() // 2**20, flush=True)
"""


def measured(checkout: Path, fits: int, folder: Path) -> dict[str, int]:
    """Resident memory in MB after so many fits."""
    (folder / "noisezoo").symlink_to(checkout.resolve())
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", FITS, str(fits)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("MB ")]
    return {number: int(megabytes) for _, number, megabytes in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--fits", type=int, default=45)
    parser.add_argument("--out", type=Path, help="a JSON file of the results")
    asked = parser.parse_args()
    results = {}
    for checkout in asked.checkouts:
        with tempfile.TemporaryDirectory() as folder:
            results[checkout.name] = measured(checkout, asked.fits, Path(folder))
        print(checkout.name, results[checkout.name], flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
