"""Record stores with a meaning of their own: evaluations, agents and experiments, on databases and on stores.

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from stores.declaration import RecordStoreDeclaration
else:
    _HOMES = {
        "declaration": ("RecordStoreDeclaration",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "RecordStoreDeclaration",
]
