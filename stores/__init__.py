"""Record stores with a meaning of their own: evaluations, agents and experiments, on databases and on stores.

A name is imported on its first use, so that unused drivers are not loaded.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from stores.agents.client import StorageClient
    from stores.agents.client import ValuePage
    from stores.agents.clients import DatabaseClient
    from stores.agents.cosmos import CosmosDBClient
    from stores.agents.environment import create_storage_client
    from stores.agents.postgresql import PostgreSQLClient
    from stores.agents.records.values import etag_of
    from stores.agents.sqlite import SQLiteClient
    from stores.agents.state_manager import StateManager
    from stores.agents.tables import declare_agents
    from stores.current import current_agents
    from stores.current import current_evaluations
    from stores.current import current_experiments
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
    from stores.evaluations.places.following import follow_events
    from stores.evaluations.places.on_stores import EvaluationsInStore
    from stores.evaluations.places.on_tables import EvaluationsInTables
    from stores.evaluations.places.service import StorageService
    from stores.evaluations.places.suite import StorageServiceSuite
    from stores.evaluations.retention import EvaluationRetention
    from stores.evaluations.retention import EvaluationsRetained
    from stores.evaluations.tables import declare_evaluations
    from stores.experiments.core import Experiments
    from stores.experiments.faces import ExperimentClient
    from stores.experiments.faces import ExperimentStorage
    from stores.experiments.tables import declare_experiments
else:
    _HOMES = {
        "agents.client": ("StorageClient", "ValuePage"),
        "agents.clients": ("DatabaseClient",),
        "agents.cosmos": ("CosmosDBClient",),
        "agents.environment": ("create_storage_client",),
        "agents.postgresql": ("PostgreSQLClient",),
        "agents.sqlite": ("SQLiteClient",),
        "agents.state_manager": ("StateManager",),
        "agents.tables": ("declare_agents",),
        "agents.records.values": ("etag_of",),
        "current": ("current_agents", "current_evaluations", "current_experiments"),
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
        "evaluations.places.following": ("follow_events",),
        "evaluations.places.on_stores": ("EvaluationsInStore",),
        "evaluations.places.service": ("StorageService",),
        "evaluations.places.suite": ("StorageServiceSuite",),
        "evaluations.places.on_tables": ("EvaluationsInTables",),
        "evaluations.retention": ("EvaluationRetention", "EvaluationsRetained"),
        "evaluations.tables": ("declare_evaluations",),
        "experiments.core": ("Experiments",),
        "experiments.faces": ("ExperimentClient", "ExperimentStorage"),
        "experiments.tables": ("declare_experiments",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "CosmosDBClient",
    "DatabaseClient",
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
    "ExperimentClient",
    "ExperimentStorage",
    "Experiments",
    "FlexibleStorageManager",
    "InMemoryStorage",
    "PostgreSQLClient",
    "RecordStoreDeclaration",
    "SQLiteClient",
    "StateManager",
    "StorageClient",
    "StorageConfig",
    "StorageService",
    "StorageServiceSuite",
    "ValuePage",
    "WrongStep",
    "create_storage_client",
    "create_storage_manager",
    "current_agents",
    "current_evaluations",
    "current_experiments",
    "declare_agents",
    "declare_evaluations",
    "declare_experiments",
    "etag_of",
    "follow_events",
]
