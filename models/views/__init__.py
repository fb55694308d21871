"""Pictures of priors."""
