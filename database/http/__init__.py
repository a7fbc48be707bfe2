"""HTTP to other servers: pooled connections, a deadline for each whole answer, and errors that tell what is known."""
