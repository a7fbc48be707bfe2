"""Two-way sync: keeps the tables of two databases equal by following their change feeds."""

from database.sync.conflicts.units import ConflictUnit as ConflictUnit
from database.sync.documented import ConvexSyncManager as ConvexSyncManager
from database.sync.documented import create_sync_manager as create_sync_manager
from database.sync.manager import SyncManager as SyncManager
