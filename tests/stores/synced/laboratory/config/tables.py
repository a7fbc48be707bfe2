"""The tables of the application."""

from __future__ import annotations

from database import columns
from stores import declare_agents
from stores import declare_evaluations
from stores import declare_experiments

metadata = columns.table_metadata()
declare_agents(metadata)
declare_evaluations(metadata)
declare_experiments(metadata)
