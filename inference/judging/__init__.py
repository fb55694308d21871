"""What is to be thought of a fit: predictions, convergence, accuracy, distance to a reference, a verdict."""
