"""The tables of agents."""

from __future__ import annotations

from database.columns import table_metadata
from stores import declare_agents

metadata = table_metadata()
declare_agents(metadata)
