"""Whether a verdict sees that a run was cut: every strategy on five models, with a tenth of its steps.

    python tests/benchmarks/cut_runs.py [--with "sgld;nuts"] [--out docs/results/benchmarks/cut_runs.csv]

A row is a strategy on a model: the verdict on the whole run, and on the run of a tenth (of the draws and the warmup of
a sampler, of the steps of a guide; of one that ends by itself, of the steps that it took).  ``ok`` of a cut run as it
stands is a miss.  It is also judged against the whole run, which is taken for the truth: ``ok`` then says that its f(x)
is the same within half an sd, steps or not.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import noisezoo.data
import pandas as pd
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.verdict import verdict
from noisezoo.inference.strategies.mclmc import LEAST, ROUNDS
from noisezoo.inference.strategies.parse import parse
from noisezoo.models import catalogue

MODELS = {  # prior, network, data, and a form if it is not the expanded one
    "ridge": ("normal", "linear", "diabetes"),
    "horseshoe": ("half_cauchy", "linear", "diabetes"),
    "classes": ("normal", "linear", "breast_cancer"),
    "net": ("regularised_half_cauchy", "mlp:10", "diabetes"),
    "wine": ("inverse_gamma", "mlp:10", "wine"),
}
DROPOUT = {  # for the guides that are for these priors
    "linear": ("gaussian_dropout", "linear", "diabetes"),
    "net": ("gaussian_dropout", "mlp:10", "diabetes"),
    "two layers": ("gaussian_dropout", "mlp:10-10", "diabetes"),
    "classes": ("gaussian_dropout", "mlp:10", "breast_cancer"),
    "wine": ("gaussian_dropout", "mlp:10", "wine"),
}
HIERARCHICAL = {  # for em
    "linear": ("half_cauchy", "linear", "diabetes", "hierarchical"),
    "net": ("half_cauchy", "mlp:10", "diabetes", "hierarchical"),
    "student": ("inverse_gamma", "mlp:10", "diabetes", "hierarchical"),
    "classes": ("inverse_gamma", "linear", "breast_cancer", "hierarchical"),
    "wine": ("inverse_gamma", "mlp:10", "wine", "hierarchical"),
}
SPARSE = {name: ("sparse_vd", *words[1:]) for name, words in DROPOUT.items()}
STRATEGIES = {
    **dict.fromkeys(("svi", "svi:guide=low_rank", "svi:guide=full_rank", "svi:guide=flow"), MODELS),
    **dict.fromkeys(("nuts", "mclmc", "mclmc:adjusted=1", "sgld", "sghmc", "sgnht"), MODELS),
    "svi:guide=dropout": DROPOUT,
    "svi:guide=em": HIERARCHICAL,
    **dict.fromkeys(("svi:guide=local", "svi:guide=flipout"), SPARSE),
}


def program(data, prior, network, _, form="expanded"):
    parts = catalogue.prior(prior, *() if prior in ("sparse_vd", "normal") else ("ard", form))
    return catalogue.model(parts, catalogue.network(network), data.task, len(data.classes))


def cut(config, found):
    """The settings of a tenth of a run."""
    if config.name == "svi":
        taken = int(found.history["step"].max()) + 1
        return replace(config, steps=max(taken // 10, 1))
    warmup = max(config.warmup // 10, ROUNDS * LEAST if config.name == "mclmc" else 1)
    return replace(config, warmup=warmup, draws=config.draws // 10)


def rows(label, models):
    """The rows of a strategy."""
    (config,) = parse(label).values()
    for name, words in models.items():
        data = noisezoo.data.load(words[2])
        model, row = program(data, *words), {"strategy": label, "model": f"{name}: {', '.join(words)}"}

        def run(config, model=model, data=data):
            x, y = jnp.asarray(data.x_train), jnp.asarray(data.y_train)
            found = fit(model, config, x, y, progress=False)
            return found, to_datatree(found, model, data)

        try:
            whole, tree = run(config)
            word, reason = verdict(diagnose(tree), tree)
            _, short = run(cut(config, whole))
        except (ValueError, FloatingPointError) as error:
            yield row | {"whole": "failed", "whole_reason": str(error)}
            continue
        alone, alone_reason = verdict(diagnose(short), short)
        against, against_reason = verdict(diagnose(short, tree), short, "the whole run")
        yield row | {
            **{"whole": word, "whole_reason": reason, "tenth": alone, "tenth_reason": alone_reason},
            **{"against_whole": against, "against_whole_reason": against_reason},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="strategies", help="all by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for label in options.strategies.split(";") if options.strategies else STRATEGIES:
        for row in rows(label, STRATEGIES[label]):
            found.append(row)
            print(row, flush=True)
            if options.out:
                pd.DataFrame(found).to_csv(options.out, index=False)
    table = pd.DataFrame(found)
    missed = table[table["tenth"] == "ok"]
    print(f"{len(missed)} of {len(table)} cut runs are called ok", *missed.to_dict("records"), sep="\n")


if __name__ == "__main__":
    main()
