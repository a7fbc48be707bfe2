"""Tests of the routes of agents."""
