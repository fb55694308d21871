"""Whether two checkouts compute the same numbers, bit for bit, from the same words of the command line.

python tests/benchmarks/same_numbers.py OLD NEW [--out FILE.json] [--only WORD]

Runs the demo, a fit of each guide and sampler in each language, a sweep, a trim and a prune in both checkouts, and
compares the draws (every variable of every group of the netCDF files), tables, cells, nets and curves.  Times are left
out.  Prints a line for each case; exits with 1 if one differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

TIMES = ("seconds", "seconds_compile", "seconds_adapt", "seconds_sample", "ess_per_second")
NET = "svi:guide=local,steps=300,batch_size=50,kl_warmup=100,draws=20"
SWEEP = """
[models.ard]
prior = "inverse_gamma:a=3,b=3"
form = "hierarchical"
network = "residual_mlp:5-5"
[strategies]
em = "svi:guide=em,steps=200,draws=30"
dropped = {with = "svi:guide=mean_field,draws=30", epochs = 20}
nuts = "nuts:warmup=50,draws=50,chains=2"
[[grid]]
data = ["yacht"]
splits = 2
"""
HIERARCHICAL = ("inverse_gamma", "--form", "hierarchical", "--network", "mlp:5")
EXPANDED = ("half_cauchy", "--network", "mlp:5")
SAMPLERS = (
    "nuts:warmup=60,draws=60,chains=2,nuts:mass=dense,warmup=60,draws=40,chains=2,"
    "sgld:warmup=200,draws=40,thin=5,batch_size=50,sgld:preconditioner=rmsprop,step_size=1e-3,warmup=200,draws=40,"
    "sghmc:warmup=200,draws=40,thin=5,sgnht:warmup=200,draws=40,thin=5"
)
PYRO_SAMPLERS = (
    "nuts:warmup=20,draws=10,chains=1,sgld:warmup=50,draws=10,thin=2,chains=2,batch_size=50,"
    "sghmc:warmup=50,draws=10,thin=2,chains=2,sgnht:warmup=50,draws=10,thin=2,chains=2"
)
CASES = {  # name: the words after `noisezoo`, {out} a folder
    "demo": (
        *("compare", "regularised_half_cauchy", "--data", "diabetes", "--out", "{out}", "--with"),
        "svi,nuts:warmup=500,draws=500,sgld:step_size=0.1,thin=100",
    ),
    "automatic guides": (
        *("compare", *EXPANDED, "--data", "diabetes", "--out", "{out}", "--with"),
        ",".join(
            f"svi:guide={g},steps=300,lr=1e-3,draws=50" for g in ("map", "mean_field", "low_rank", "full_rank", "flow")
        ),
    ),
    "laplace": (
        *("compare", "normal", "--network", "linear", "--data", "diabetes", "--out", "{out}", "--with"),
        "svi:guide=laplace,steps=2000,draws=50",
    ),
    "guides of scales": (
        *("compare", *HIERARCHICAL, "--data", "diabetes", "--out", "{out}", "--with"),
        ",".join(f"svi:guide={g},steps=300,batch_size=50,draws=50" for g in ("local", "flipout", "em")),
    ),
    "dropout": (
        *("compare", "bernoulli:p=0.9", "--network", "mlp:5", "--data", "diabetes", "--out", "{out}", "--with"),
        "svi:guide=dropout,steps=300,draws=50,"
        "svi:guide=dropout,objective=importance,particles=3,mask=example,steps=300,draws=50",
    ),
    "directions": (
        *("compare", "direction_magnitude", "--network", "mlp:5", "--data", "diabetes", "--out", "{out}", "--with"),
        "svi:guide=local,steps=300,draws=50,svi:guide=flipout,steps=300,draws=50",
    ),
    "samplers": ("compare", *EXPANDED, "--data", "diabetes", "--out", "{out}", "--with", SAMPLERS),
    "mclmc": (
        *("compare", *EXPANDED, "--data", "diabetes", "--out", "{out}", "--with"),
        "mclmc:warmup=1000,draws=50,thin=5,chains=2",
    ),
    "gibbs": (
        *("compare", "bernoulli", "--network", "linear", "--data", "diabetes", "--out", "{out}", "--with"),
        "nuts:warmup=50,draws=50,chains=2",
    ),
    "pyro guides": (
        *("compare", *HIERARCHICAL, "--data", "diabetes", "--ppl", "pyro", "--out", "{out}", "--with"),
        ",".join(
            f"svi:guide={g},steps=60,draws=20"
            for g in ("map", "mean_field", "low_rank", "full_rank", "flow", "local", "flipout", "em")
        ),
    ),
    "pyro dropout and laplace": (
        *("compare", "half_cauchy", "--network", "linear", "--data", "diabetes", "--ppl", "pyro", "--out", "{out}"),
        *("--with", "svi:guide=dropout,steps=60,draws=20,svi:guide=laplace,steps=2000,draws=20"),
    ),
    "pyro samplers": (
        *("compare", "half_cauchy", "--network", "linear", "--data", "diabetes", "--ppl", "pyro", "--out", "{out}"),
        *("--with", PYRO_SAMPLERS),
    ),
    "sweep": ("sweep", "sweep.toml", "--out", "{out}", "--jobs", "1"),
    "sparse": (
        *("compare", "sparse_vd", "--network", "mlp:20,activation=relu", "--data", "digits", "--out", "{out}"),
        *("--with", NET),
    ),
    "trim": ("trim", "sparse", "--out", "{out}"),
    "prune": ("prune", "sparse", "--out", "{out}", "--no-progress"),
}


def run(checkout: Path, words: tuple[str, ...], out: Path) -> str:
    """Run `noisezoo` of a checkout; what it said if it failed."""
    package = out.parent / "package"
    package.mkdir(parents=True, exist_ok=True)
    if not (package / "noisezoo").exists():
        (package / "noisezoo").symlink_to(checkout.resolve())
    (out.parent / "sweep.toml").write_text(SWEEP)
    environment = {**os.environ, "PYTHONPATH": str(package), "XDG_CACHE_HOME": str(out.parent / "cache")}
    environment["PYTHONHASHSEED"] = "0"  # NumPyro sums over sets
    told = ["--no-progress"] if words[0] in ("compare", "sweep") else []
    command = [sys.executable, "-c", "from noisezoo.cli import app; app()"]
    command += [word.replace("{out}", str(out)) for word in words] + told
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, env=environment)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-600:]


def contents(path: Path) -> dict[str, object]:
    """What a file holds, by name, without times and versions."""
    if path.suffix == ".nc":
        import xarray as xr

        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return {f"{node.path}/{k}": v.values.copy() for node in tree.subtree for k, v in node.data_vars.items()}
    if path.suffix == ".csv":
        table = pd.read_csv(path)
        if "score" in table:  # that of a sweep
            table = table[table["score"] != "seconds"]
        return {name: table[name].to_numpy() for name in table if name not in TIMES and name != "file"}
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return dict(load_file(path))
    return {}


def differences(old: Path, new: Path) -> tuple[int, list[str]]:
    """How many arrays were compared in two folders, and which are not the same."""
    files = sorted(
        {p.relative_to(f) for f in (old, new) for p in f.rglob("*") if p.suffix in (".nc", ".csv", ".safetensors")}
    )
    count, found = 0, []
    for file in files:
        if not ((old / file).exists() and (new / file).exists()):
            found.append(f"{file} is in one of them only")
            continue
        ours, theirs = contents(new / file), contents(old / file)
        found += [f"{file}: {name} is in one of them only" for name in sorted(set(ours) ^ set(theirs))]
        for name in sorted(set(ours) & set(theirs)):
            count += 1
            a, b = np.asarray(ours[name]), np.asarray(theirs[name])
            floats = {a.dtype.kind, b.dtype.kind} <= set("fc")
            same = np.array_equal(a, b, equal_nan=True) if floats else str(a.tolist()) == str(b.tolist())
            if not same:
                found.append(f"{file}: {name} differs")
    return count, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--out", type=Path, help="a JSON file of the results")
    asked = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, words in CASES.items():
            if asked.only not in name and not (asked.only in ("trim", "prune") and name == "sparse"):
                continue
            outs = {side: Path(folder) / side / name.replace(" ", "-") for side in ("old", "new")}
            failed = {side: run(getattr(asked, side), words, out) for side, out in outs.items()}
            count, found = differences(outs["old"], outs["new"])
            found = [f"{side} failed: {why}" for side, why in failed.items() if why] + found
            results[name] = {"arrays": count, "different": found}
            print(f"{name}: {count} arrays, {'all the same' if not found else '; '.join(found[:5])}", flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(any(result["different"] or not result["arrays"] for result in results.values()))


if __name__ == "__main__":
    main()
