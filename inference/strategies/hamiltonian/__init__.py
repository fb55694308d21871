"""What Hamiltonian samplers share: where they start, and metrics that a kernel does not bring."""
