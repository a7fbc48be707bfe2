"""The HTTP interface of evaluations: ``/api/evaluations/<id>``."""

from typing import Final

PREFIX: Final = "/api/evaluations"


def is_output(method: str, path: str) -> bool:
    """Whether a request sends the output of an evaluation, which may be larger than other bodies."""
    return method == "PUT" and path.startswith(f"{PREFIX}/") and path.endswith("/output")
