"""SQL text of callers: its placeholders and parameters, its limits and its answers."""
