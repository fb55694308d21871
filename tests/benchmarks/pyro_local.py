"""The zoo's Pyro path with the guide ``local`` against a plain torch loop of the same objective: run in turn.

    python tests/benchmarks/pyro_local.py [--pairs 7] [--steps 300] [--threads 1] [--out FILE.json]

LeNet-300-100 on random data of MNIST's shape, minibatches of 100 drawn with replacement, one chain.  The loop by hand
has nn.Parameters for means and log standard deviations, samples pre-activations, writes each divergence as its paper
does, and steps one Adam: as torch gives it by default (hand), or fused into one kernel (fused).  The zoo goes through
`fit`.  Each round is one run of all three, in turning order; the ratios of a round are zoo / hand and zoo / fused.  The
last losses stand beside the times, to show that the objective is the same; seeds alone change them by some 7%.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import mlp
from noisezoo.models.papers import empirical_bayes, sparse_vd
from torch import nn
from torch.nn.functional import cross_entropy

ROWS, FEATURES, WIDTHS, CLASSES, BATCH = 10_000, 784, (300, 100), 10, 100
LR, START = 1e-3, -5.0  # log sigma at the start


def sparse_vd_by_hand(loc, log_scale):
    """Molchanov, Ashukha & Vetrov (2017), eq 14, as in the authors' code."""
    log_alpha = 2 * (log_scale - torch.log(loc.abs() + 1e-16))
    kept = torch.sigmoid(1.87320 + 1.48695 * log_alpha)
    return (0.63576 - 0.63576 * kept + 0.5 * torch.log1p(torch.exp(-log_alpha))).sum()


def empirical_bayes_by_hand(loc, log_scale):
    """Kharitonov, Molchanov & Vetrov (2018), eq 1."""
    return 0.5 * torch.log1p(loc**2 * torch.exp(-2 * log_scale)).sum()


PRIORS = {
    "sparse_vd_approximate": (sparse_vd.prior(approximate=True), sparse_vd_by_hand),
    "empirical_bayes": (empirical_bayes.prior(), empirical_bayes_by_hand),
}


class Layer(nn.Module):
    """An affine layer: a locally reparameterised weight and a bias with a standard normal prior."""

    def __init__(self, unit_in, unit_out, divergence):
        super().__init__()
        self.divergence = divergence
        self.loc = nn.Parameter((2 / unit_in) ** 0.5 * torch.randn(unit_in, unit_out))
        self.log_scale = nn.Parameter(START + 0.1 * torch.randn(unit_in, unit_out))
        self.bias_loc = nn.Parameter(0.1 * torch.randn(unit_out))
        self.bias_log_scale = nn.Parameter(START + 0.1 * torch.randn(unit_out))

    def forward(self, h):
        mean, variance = h @ self.loc, h**2 @ torch.exp(2 * self.log_scale)
        bias = self.bias_loc + torch.exp(self.bias_log_scale) * torch.randn_like(self.bias_loc)
        return mean + torch.sqrt(variance + 1e-16) * torch.randn_like(mean) + bias

    def kl(self):
        variance = torch.exp(2 * self.bias_log_scale)
        bias = 0.5 * (self.bias_loc**2 + variance - 1) - self.bias_log_scale
        return self.divergence(self.loc, self.log_scale) + bias.sum()


def by_hand(divergence, x, y, steps, fused):
    """A function seed -> (seconds per step, mean loss of the last tenth)."""

    def run(seed):
        torch.manual_seed(seed)
        layers = [Layer(*sizes, divergence) for sizes in zip((FEATURES, *WIDTHS), (*WIDTHS, CLASSES), strict=True)]
        adam = torch.optim.Adam([w for layer in layers for w in layer.parameters()], lr=LR, fused=fused)
        half = steps // 2
        schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: min(1.0, 1.0 - (t - half) / (steps - half)))
        losses = []
        at = time.perf_counter()
        for _ in range(steps):
            rows = torch.randint(ROWS, (BATCH,))
            h, labels = x[rows], y[rows]
            for layer in layers[:-1]:
                h = torch.relu(layer(h))
            log_lik = -ROWS / BATCH * cross_entropy(layers[-1](h), labels, reduction="sum")
            loss = sum(layer.kl() for layer in layers) - log_lik
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            losses.append(loss.item())
        return (time.perf_counter() - at) / steps, float(np.mean(losses[-(steps // 10) :]))

    return run


def by_zoo(prior, x, y, steps):
    """A function seed -> (seconds per step, mean loss of the last tenth)."""
    model = categorical(mlp(*WIDTHS, activation="relu"), prior, CLASSES)
    config = svi(guide="local", steps=steps, lr=LR, batch_size=BATCH, init_scale=float(np.exp(START)), draws=1)

    def run(seed):
        found = fit(model, config, x, y, seed=seed, progress=False)
        loss = found.history["loss"][0]
        return found.seconds["adapt"] / steps, float(loss[-(len(loss) // 10) :].mean())

    return run


def compare(runs, rounds):
    """Medians of each of `runs` (zoo first) and of zoo over each other, after one round that is thrown away."""
    for run in runs.values():
        run(0)
    names, found = list(runs), []
    for i in range(rounds):
        order = names[i % len(names) :] + names[: i % len(names)]
        found.append({name: runs[name](i + 1) for name in order})
    result = {f"{name}_ms_per_step": 1e3 * statistics.median(r[name][0] for r in found) for name in names}
    for name in names[1:]:
        ratios = [r[names[0]][0] / r[name][0] for r in found]
        result[f"ratio_to_{name}"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    return result | {f"{name}_last_loss": statistics.median(r[name][1] for r in found) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.uniform(size=(ROWS, FEATURES)), dtype=torch.float32)
    y = torch.as_tensor(rng.integers(0, CLASSES, ROWS))
    result = {"threads": options.threads, "steps": options.steps, "rounds": options.pairs}
    for name, (prior, divergence) in PRIORS.items():
        hand = {what: by_hand(divergence, x, y, options.steps, what == "fused") for what in ("hand", "fused")}
        result[name] = compare({"zoo": by_zoo(prior, x, y, options.steps), **hand}, options.pairs)
        print(name, json.dumps(result[name], indent=1), flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
