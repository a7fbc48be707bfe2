"""Stores for asynchronous callers: values under keys, as in the storage protocol of Convergence."""
