"""The production server: its processes, threads, and reception of requests."""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from api.server import serving
else:
    # Loaded on first use: commands and other servers do not need it.
    __getattr__ = on_first_use(__name__, {"serving": "serving"})

__all__ = ["serving"]
