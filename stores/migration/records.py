"""Copying records of one kind from one place into another one, both named as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from database import ConnectionManager
from storage import Copied
from storage import CopyOptions
from stores.migration.agents import copy_agents
from stores.migration.evaluations import copy_evaluations
from stores.migration.evaluations import whole_evaluations
from stores.migration.old_files import old_evaluations
from stores.migration.places import Missing
from stores.migration.places import agents_at
from stores.migration.places import agents_source
from stores.migration.places import evaluations_at

Told = Callable[[Copied], object]


def copy_records(
    kind: Literal["agents", "evaluations", "old"],
    places: tuple[str, str],
    options: CopyOptions,
    told: Told,
    database: ConnectionManager | None = None,
) -> Copied:
    """Copy the records of a kind; ``old`` are evaluations in the old layout of files.

    :param places: the source and the target, as :mod:`stores.migration.places` describes them.
    :param told: called after each part.
    :param database: that of the application, if there is one.
    :raises StorageError: if a place is none, or cannot be reached.
    """
    missing: Missing = "empty" if options.dry_run else "create"
    source, target = places
    if kind == "agents":
        with agents_source(source, database) as one, agents_at(target, missing, database) as other:
            return copy_agents(one, other, options, told=told)
    with evaluations_at(target, missing, database) as goal:
        if kind == "old":
            wrong: dict[str, str] = {}
            copied = copy_evaluations(old_evaluations(Path(source), wrong.__setitem__), goal, options, told=told)
            copied.left |= wrong
            return copied
        with evaluations_at(source, "refuse", database) as origin:
            return copy_evaluations(whole_evaluations(origin), goal, options, told=told)
