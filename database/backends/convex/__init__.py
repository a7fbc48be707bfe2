"""Convex, through its HTTP API."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.backends.convex.adapter import ConvexAdapter
    from database.backends.convex.adapter import create_convex_adapter
else:
    __getattr__ = on_first_use(__name__, {"ConvexAdapter": "adapter", "create_convex_adapter": "adapter"})

__all__ = ["ConvexAdapter", "create_convex_adapter"]
