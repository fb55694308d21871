"""Checked mathematics: closed forms, divergences, M-steps, penalties, laws of an angle."""
