"""What is believed: noises, structures, weights, networks and likelihoods, as programs.  Knows no inference."""
