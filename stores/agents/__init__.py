"""What agents remember: states, tasks, conversations and the transactions of cases, on several backends."""
