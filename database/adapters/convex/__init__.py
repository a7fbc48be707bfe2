"""Convex, through its HTTP interface."""

from database.adapters.convex.adapter import ConvexAdapter
from database.adapters.convex.adapter import create_convex_adapter

__all__ = ["ConvexAdapter", "create_convex_adapter"]
