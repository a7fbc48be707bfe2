"""Record stores with a meaning of their own: evaluations, agents and experiments, on databases and on stores.

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from stores.declaration import RecordStoreDeclaration
    from stores.experiments.core import Experiments
    from stores.experiments.current import current_experiments
    from stores.experiments.faces import ExperimentClient
    from stores.experiments.faces import ExperimentStorage
    from stores.experiments.tables import declare_experiments
else:
    _HOMES = {
        "declaration": ("RecordStoreDeclaration",),
        "experiments.core": ("Experiments",),
        "experiments.current": ("current_experiments",),
        "experiments.faces": ("ExperimentClient", "ExperimentStorage"),
        "experiments.tables": ("declare_experiments",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "ExperimentClient",
    "ExperimentStorage",
    "Experiments",
    "RecordStoreDeclaration",
    "current_experiments",
    "declare_experiments",
]
