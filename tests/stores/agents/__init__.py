"""Tests of the store of agents."""
