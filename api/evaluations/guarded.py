"""The evaluations of an app, for the views whose callers its access rules admit."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from functools import wraps
from typing import Any

from api.evaluations.watch import Watch
from api.http.parameters import refuse_undecodable
from api.records.table_access import View
from api.records.table_access import require_access
from database import ConnectionManager
from database import current_isthmus
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.core.tables.keys import text_in_url
from stores import Evaluations


class EvaluationPart:
    """The evaluations of an app.

    :param access: who may read, write and delete them.
    """

    def __init__(self, evaluations: Evaluations, access: Mapping[Action, Access], manager: ConnectionManager) -> None:
        self.evaluations = evaluations
        self.access = access
        self.watch = Watch(manager)


def on_evaluations(*actions: Action) -> Callable[[View], View]:
    """Give the view the evaluations, if the access rules allow the actions, and the id that the URL has.

    :raises AuthError: if the caller is not signed in, or lacks the role or the permission.
    """

    def resolving(view: View) -> View:
        @wraps(view)
        def resolved(**values: Any) -> Any:
            part = current_isthmus()[EvaluationPart]
            refuse_undecodable()
            for action in actions:
                require_access(part.access[action])
            if "id" in values:
                values["id"] = text_in_url(values["id"])
            return view(part.evaluations, **values)

        return resolved

    return resolving
