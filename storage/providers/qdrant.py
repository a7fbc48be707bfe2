"""Qdrant, in which data is found by the similarity of vectors."""

from __future__ import annotations

from storage.backends.qdrant.backend import QdrantEntries
from storage.core.store import Store
from storage.providers.store import StoreProvider


class QdrantProvider(StoreProvider):
    """Points in a collection of Qdrant. Data that is a dictionary with ``vector`` is found by it.

    :param url: of a server, a folder for the client's local mode, or ``:memory:``.
    :param collection_name: its name; it is made if it is missing.
    :param vector_size: how many numbers a vector has.
    """

    def __init__(
        self, url: str, collection_name: str = "praval_vectors", vector_size: int = 384, api_key: str | None = None
    ) -> None:
        entries = QdrantEntries(url, collection_name, dimensions=vector_size, api_key=api_key)
        super().__init__(Store(entries, "qdrant"))
