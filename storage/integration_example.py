"""``create_storage_manager``, under the name that the documentation of evaluations uses."""

from stores import create_storage_manager

__all__ = ["create_storage_manager"]
