"""What the documents show and the product does not have yet.

Whatever is listed here must fail: once it works, its entry has to go.
"""

from __future__ import annotations

BLOCKS = {"003.txt": {"Bidirectional Sync": "create_sync_manager"}}
"""By document and section: what is missing."""

SETTINGS = {"003.txt": ("CONVEX_SYNC_INTERVAL", "CONVEX_SYNC_TABLES", "CONVEX_CONFLICT_RESOLUTION")}
