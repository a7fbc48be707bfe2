"""Two-way sync: two databases are kept equal by way of their feeds of changes."""

from database.sync.documented import ConvexSyncManager as ConvexSyncManager
from database.sync.documented import create_sync_manager as create_sync_manager
from database.sync.manager import SyncManager as SyncManager
