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
    from stores.agents.sqlite import SQLiteClient
    from stores.agents.state_manager import StateManager
    from stores.declaration import RecordStoreDeclaration
    from stores.evaluations.core import Evaluations
    from stores.evaluations.meaning.statuses import WrongStep
    from stores.evaluations.meaning.values import Evaluation
    from stores.evaluations.meaning.values import EvaluationEvent
    from stores.evaluations.meaning.values import EvaluationMetric
    from stores.evaluations.meaning.values import EvaluationOutput
    from stores.evaluations.meaning.values import EvaluationPage
    from stores.evaluations.places.on_tables import EvaluationsInTables
    from stores.evaluations.tables import declare_evaluations
else:
    _HOMES = {
        "agents.client": ("StorageClient", "ValuePage"),
        "agents.clients": ("DatabaseClient",),
        "agents.cosmos": ("CosmosDBClient",),
        "agents.environment": ("create_storage_client",),
        "agents.postgresql": ("PostgreSQLClient",),
        "agents.sqlite": ("SQLiteClient",),
        "agents.state_manager": ("StateManager",),
        "declaration": ("RecordStoreDeclaration",),
        "evaluations.core": ("Evaluations",),
        "evaluations.meaning.statuses": ("WrongStep",),
        "evaluations.meaning.values": (
            "Evaluation",
            "EvaluationPage",
            "EvaluationEvent",
            "EvaluationMetric",
            "EvaluationOutput",
        ),
        "evaluations.places.on_tables": ("EvaluationsInTables",),
        "evaluations.tables": ("declare_evaluations",),
    }
    __getattr__ = on_first_use(__name__, {name: home for home, names in _HOMES.items() for name in names})

__all__ = [
    "CosmosDBClient",
    "DatabaseClient",
    "Evaluation",
    "EvaluationEvent",
    "EvaluationMetric",
    "EvaluationOutput",
    "EvaluationPage",
    "Evaluations",
    "EvaluationsInTables",
    "PostgreSQLClient",
    "RecordStoreDeclaration",
    "SQLiteClient",
    "StateManager",
    "StorageClient",
    "ValuePage",
    "WrongStep",
    "create_storage_client",
    "declare_evaluations",
]
