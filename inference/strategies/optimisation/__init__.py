"""How a guide is fitted: the learning rate, the average of the iterates, and when it has converged."""
