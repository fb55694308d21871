"""How it is inferred: strategies, the driver that runs them, and the judging of what comes out."""
