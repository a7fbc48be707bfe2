"""The HTTP interface of agents: their states and tasks, conversations, and the transactions of cases."""
