"""Record stores with a meaning of their own: evaluations, agents and experiments, on databases and on stores.

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from stores.declaration import RecordStoreDeclaration
    from stores.evaluations.core import Evaluations
    from stores.evaluations.manager.configuration import StorageConfig
    from stores.evaluations.manager.configuration import create_storage_manager
    from stores.evaluations.manager.manager import FlexibleStorageManager
    from stores.evaluations.manager.storages import DatabaseStorage
    from stores.evaluations.manager.storages import EvaluationStorage
    from stores.evaluations.manager.storages import InMemoryStorage
    from stores.evaluations.meaning.statuses import WrongStep
    from stores.evaluations.meaning.values import Evaluation
    from stores.evaluations.meaning.values import EvaluationEvent
    from stores.evaluations.meaning.values import EvaluationMetric
    from stores.evaluations.meaning.values import EvaluationOutput
    from stores.evaluations.meaning.values import EvaluationPage
    from stores.evaluations.places.on_stores import EvaluationsInStore
    from stores.evaluations.places.on_tables import EvaluationsInTables
    from stores.evaluations.places.service import StorageService
    from stores.evaluations.places.suite import StorageServiceSuite
    from stores.evaluations.retention import EvaluationRetention
    from stores.evaluations.retention import EvaluationsRetained
    from stores.evaluations.tables import declare_evaluations
else:
    _HOMES = {
        "declaration": ("RecordStoreDeclaration",),
        "evaluations.core": ("Evaluations",),
        "evaluations.manager.configuration": ("StorageConfig", "create_storage_manager"),
        "evaluations.manager.manager": ("FlexibleStorageManager",),
        "evaluations.manager.storages": ("DatabaseStorage", "EvaluationStorage", "InMemoryStorage"),
        "evaluations.meaning.statuses": ("WrongStep",),
        "evaluations.meaning.values": (
            "Evaluation",
            "EvaluationPage",
            "EvaluationEvent",
            "EvaluationMetric",
            "EvaluationOutput",
        ),
        "evaluations.places.on_stores": ("EvaluationsInStore",),
        "evaluations.places.service": ("StorageService",),
        "evaluations.places.suite": ("StorageServiceSuite",),
        "evaluations.places.on_tables": ("EvaluationsInTables",),
        "evaluations.retention": ("EvaluationRetention", "EvaluationsRetained"),
        "evaluations.tables": ("declare_evaluations",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "DatabaseStorage",
    "Evaluation",
    "EvaluationEvent",
    "EvaluationMetric",
    "EvaluationOutput",
    "EvaluationPage",
    "EvaluationRetention",
    "EvaluationStorage",
    "Evaluations",
    "EvaluationsInStore",
    "EvaluationsInTables",
    "EvaluationsRetained",
    "FlexibleStorageManager",
    "InMemoryStorage",
    "RecordStoreDeclaration",
    "StorageConfig",
    "StorageService",
    "StorageServiceSuite",
    "WrongStep",
    "create_storage_manager",
    "declare_evaluations",
]
