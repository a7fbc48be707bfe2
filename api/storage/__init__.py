"""The HTTP interface of stores: ``/api/storage/<store>/<key>``."""

from typing import Final

PREFIX: Final = "/api/storage"
