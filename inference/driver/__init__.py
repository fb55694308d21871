"""What runs a strategy: the loop, its engines, its records, checkpoints."""
