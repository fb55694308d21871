"""The same guides for Pyro programs."""
