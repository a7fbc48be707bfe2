"""The evaluations of an app, for the views whose callers its access rules admit."""

from __future__ import annotations

from functools import partial
from typing import Final

from api.record_stores import on_records

NAME: Final = "evaluations"

on_evaluations = partial(on_records, NAME, texts=("id",))
"""Give the view the evaluations, if the access rules allow the actions, and the id that the URL has."""
