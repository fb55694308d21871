"""Pyro programs as targets."""
