"""What all routes share: problems, JSON, bodies, idempotency keys."""
