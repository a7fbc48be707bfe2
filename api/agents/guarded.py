"""The client of agents for the views whose callers the access rules admit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from api.http.parameters import refuse_undecodable
from api.records.table_access import View
from api.records.table_access import require_access
from database import current_isthmus
from database.core.tables.access_rules import Action
from database.core.tables.keys import text_in_url
from stores import AgentPart


def on_agents(action: Action) -> Callable[[View], View]:
    """Give the view the client, if the access rules allow the action, and the ids that the URL has.

    :raises AuthError: if the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(**ids: str) -> Any:
            part = current_isthmus()[AgentPart]
            refuse_undecodable()
            require_access(part.access[action])
            return view(part.client, **{name: text_in_url(given) for name, given in ids.items()})

        return resolved

    return resolving
