"""Where evaluations are kept: one interface, and its implementations."""
