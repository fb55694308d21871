"""What a fit can do without: rules, pruning, trimming, the smaller net and its files, distillation."""
