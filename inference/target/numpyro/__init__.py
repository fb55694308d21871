"""NumPyro programs as targets."""
