"""Weights that are not sampled yet and act on activations."""
