"""An HTTP client: pooled connections, a deadline for each complete response, and errors that say what was applied."""
