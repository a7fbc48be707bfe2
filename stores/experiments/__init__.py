"""Reinforcement-learning records, optimization experiments and optimization runs, as Convergence stores them."""
