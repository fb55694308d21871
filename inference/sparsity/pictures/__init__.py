"""Pictures of sparsity and of pruning."""
