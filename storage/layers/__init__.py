"""Layers of a store: each is a stage between the store and its backend, of the same shape as those of a pipeline."""
