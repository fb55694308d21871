"""A fit of directions and magnitudes that is written down."""

import numpy as np
from noisezoo.inference.driver.result import Fit
from noisezoo.inference.judging import direction_posterior
from noisezoo.models.weights.weight_norm import side
from scipy.stats import truncnorm


def made(sizes, over="outputs", draws=20, chains=1, seed=0):
    """A fit whose draws come from a known q, of a perceptron with so many inputs, hidden units and outputs."""
    rng, found = np.random.default_rng(seed), Fit(strategy="svi", settings={}, ppl="numpyro", draws={})
    for i, (unit_in, unit_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        count, axis = (unit_out, -2) if side((unit_in, unit_out), over) == "outputs" else (unit_in, -1)
        m, s = rng.uniform(-2, 2, (chains, count)), rng.uniform(0.01, 1, (chains, count))
        loc, scale = rng.uniform(-0.5, 2, (chains, count)), rng.uniform(0.05, 3, (chains, count))
        g = m[:, None] + s[:, None] * rng.normal(size=(chains, draws, count))
        ends = [(end - part) / scale for end, part in ((0, loc), (direction_posterior.QUARTER, loc))]
        e = np.stack([truncnorm.rvs(*ends, loc, scale, size=loc.shape, random_state=rng) for _ in range(draws)], axis=1)
        base = np.broadcast_to(rng.normal(size=(chains, 1, unit_in, unit_out)), (chains, draws, unit_in, unit_out))
        z = rng.normal(size=base.shape)
        v = base / np.linalg.norm(base, axis=axis, keepdims=True)
        phi = z - v * np.sum(v * z, axis=axis, keepdims=True)
        phi /= np.linalg.norm(phi, axis=axis, keepdims=True)
        wide = [np.expand_dims(part, axis) for part in (g, e)]
        weight = wide[0] * (np.cos(wide[1]) * v + np.sin(wide[1]) * phi)
        bias = rng.normal(size=(chains, draws, unit_out))
        sites = {"base": base, "magnitude": g, "angle": e, "plane": z, "weight": weight, "bias": bias}
        found.draws.update({f"layer{i}.{k}": a.astype(np.float32) for k, a in sites.items()})
        found.loc.update({f"layer{i}.magnitude": m, f"layer{i}.angle": loc})
        found.scale.update({f"layer{i}.magnitude": s, f"layer{i}.angle": scale})
    return found
