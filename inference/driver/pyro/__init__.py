"""The engine of Pyro strategies."""
