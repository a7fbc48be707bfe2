"""The stages between a call and its backend: deadline, bulkhead, retry, circuit breaker and metrics."""
