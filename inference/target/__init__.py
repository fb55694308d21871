"""A program as a target: its latent sites, its density, its values, in either language."""
