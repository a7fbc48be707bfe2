"""``StorageService``, the interface of places for evaluations, under the name that its documentation uses."""

from stores import StorageService

__all__ = ["StorageService"]
