"""The records of agents: what they are, and where they are kept."""
