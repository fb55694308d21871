"""What the record of a sampler says: where it diverged, whether its warmup was long enough."""
