"""From a scale to a weight: who shares a scale, how the weight is parametrised, noise on its direction."""
