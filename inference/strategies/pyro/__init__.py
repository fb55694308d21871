"""The same strategies for Pyro programs."""
