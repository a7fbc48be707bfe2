"""The places of stores as text: a folder, or a URL.

::

    ./data                                             a folder of files; also file:data
    sqlite:///data/app.db                              the table storage in a file, or ?table=name
    postgresql://user@host:5432/database               likewise; ?sslmode=require
    redis://host:6379/0                                the store default, or ?store=name; rediss:// with TLS
    s3://bucket/store                                  ?endpoint=https://…&region=eu-central-1
    cosmos://account.documents.azure.com/database      the store default, or /database/store; ?container=name
    qdrant://host:6333/collection?dimensions=384       qdrant+http:// without TLS

With ``?store=name``, the first two mean the table of stores of an application, ``isthmus_entries``, which must be
there. A password that a URL does not have is found in the environment: ``PGPASSWORD``, ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY``, ``COSMOS_KEY``, ``QDRANT_API_KEY``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal
from typing import get_args
from urllib.parse import SplitResult
from urllib.parse import parse_qsl
from urllib.parse import unquote
from urllib.parse import urlencode
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import SecretStr

import storage
from config.agents import agent_settings
from config.fields import SslMode
from config.fields import at_home
from config.providers import ProviderSettings
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.postgres.adapter import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.tables.schema import Schema
from database.schema.sqlalchemy_engine import connected
from database.schema.sqlalchemy_engine import is_there
from storage.backends.table import TABLE
from storage.core.backend import StoreBackend
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store

_URL: Final = re.compile(r"([a-z][a-z0-9]*)(\+https?)?:")
_DOCUMENTS: Final = "storage"
_STORE: Final = "default"
_SSL_MODES: Final[tuple[str, ...]] = get_args(get_args(SslMode)[0])


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that was named.

    :ivar there: whether something is there; places that cannot tell say yes.
    """

    make: Callable[[], StoreBackend]
    there: Callable[[], bool] = lambda: True


class PlaceUrl:
    """A URL whose parts are taken one by one, so that what nobody takes can be refused."""

    def __init__(self, text: str, parts: SplitResult) -> None:
        self.parts = parts
        self.secure = not text.partition(":")[0].endswith("+http")
        self._options = dict(parse_qsl(parts.query, keep_blank_values=True))

    def take(self, name: str, default: str | None = None) -> str | None:
        """An option behind the question mark."""
        return self._options.pop(name, default)

    def path(self, what: str, *more: str) -> list[str]:
        """The parts of the path. :raises StorageConfigurationError: if a needed one is missing.

        :param what: the first one, which is needed.
        :param more: the defaults of the others.
        """
        found = [unquote(part) for part in self.parts.path.strip("/").split("/") if part]
        if not 1 <= len(found) <= 1 + len(more):
            raise StorageConfigurationError(f"the place {self.shown} must have a path: {what}")
        return [*found, *more[len(found) - 1 :]]

    def file(self) -> Path:
        """A file of SQLite. :raises StorageConfigurationError: if it is none."""
        # As for SQLAlchemy: three slashes before a relative path, and four before an absolute one.
        path = unquote(self.parts.path.removeprefix("/"))
        if not path or self.parts.netloc:
            raise StorageConfigurationError(
                "a file of SQLite is sqlite:///relative/path.db or sqlite:////absolute/path.db"
            )
        return at_home(Path(path))

    @property
    def rest(self) -> str:
        """The options that nobody has taken, for drivers that have some of their own."""
        rest = urlencode(self._options)
        self._options.clear()
        return rest

    @property
    def at(self) -> str:
        """The server as an HTTP URL."""
        return f"{'https' if self.secure else 'http'}://{self.parts.netloc.rpartition('@')[2]}"

    @property
    def shown(self) -> str:
        """The URL without its user, password and options."""
        return f"{self.parts.scheme}://{self.parts.netloc.rpartition('@')[2]}{self.parts.path}"

    def require_no_more(self) -> None:
        """:raises StorageConfigurationError: names an option that nobody has taken."""
        if self._options:
            raise StorageConfigurationError(f"the place {self.shown} has no option {', '.join(sorted(self._options))}")


def store_at(place: str, missing: Literal["create", "refuse", "empty"] = "create") -> Store:
    """The store at a place, as the text of this module describes it.

    :param missing: what to do if nothing is there: make it with the first write, raise an error, or return an empty
        store in memory. Servers other than databases cannot tell.
    :raises StorageConfigurationError: says what is wrong with the text, or that nothing is there.
    """
    found, name = _parsed(place)
    if missing == "create" or found.there():
        return Store(found.make(), name)
    if missing == "refuse":
        raise StorageConfigurationError(f"nothing is stored at {name}; correct the name of the place")
    return Store(storage.MemoryEntries(), name)


def _parsed(place: str) -> tuple[_Place, str]:
    """The place, and its name without secrets."""
    scheme = _URL.match(place)
    if scheme is None or scheme[1] == "file":
        return _folder(place.removeprefix("file://").removeprefix("file:"))
    if scheme[1] not in _MAKERS:
        known = ", ".join(f"{name}:" for name in ("file", *_MAKERS))
        raise StorageConfigurationError(f"a place must be a folder or begin with {known}, not {scheme[0]}")
    with parsed(place) as url:
        return _MAKERS[scheme[1]](url), url.shown


@contextmanager
def parsed(place: str) -> Iterator[PlaceUrl]:
    """The URL of a place, whose parts the block takes.

    :raises StorageConfigurationError: if it is none, or has an option that the block has not taken.
    """
    try:
        url = PlaceUrl(place, urlsplit(place))
        yield url
    except ValueError:
        # No cause: it may contain a password.
        raise StorageConfigurationError(f"the place that begins with {place.partition(':')[0]}: is no URL") from None
    url.require_no_more()


def _folder(text: str) -> tuple[_Place, str]:
    if not text:
        raise StorageConfigurationError("a place must be a folder or a URL, and is empty")
    folder = at_home(Path(text))
    return _Place(lambda: storage.FileEntries(folder), folder.is_dir), text


def database_config(url: PlaceUrl) -> dict[str, Any]:
    """What an adapter for ``sqlite:///…`` or ``postgresql://…`` is configured with.

    :raises StorageConfigurationError: says what is wrong with it.
    """
    if url.parts.scheme == "sqlite":
        return {"path": url.file()}
    parts = url.parts
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        # Not shown: what looks like another part of the URL is one of the password.
        raise StorageConfigurationError(
            "the URL of PostgreSQL has a user or a password with other characters than letters and digits;"
            " percent-encode them"
        )
    config: dict[str, Any] = {
        "host": parts.hostname or "localhost",
        "port": parts.port or 5432,
        "database": url.path("the database")[0],
        "user": _unquoted(parts.username),
        "password": _unquoted(parts.password),
    }
    if (sslmode := url.take("sslmode")) is not None:
        if sslmode not in _SSL_MODES:
            raise StorageConfigurationError(f"sslmode of {url.shown} must be one of {', '.join(_SSL_MODES)}")
        config["sslmode"] = sslmode
    return config


def _sqlite(url: PlaceUrl) -> _Place:
    config = database_config(url)
    return _in_tables(url, SQLiteAdapter, config, lambda table: storage.DocumentEntries(SQLiteAdapter, config, table))


def _postgresql(url: PlaceUrl) -> _Place:
    from storage.providers.postgresql import postgresql_documents  # noqa: PLC0415  # its driver

    config = database_config(url)
    return _in_tables(url, PostgresAdapter, config, lambda table: postgresql_documents(config, table))


def _in_tables(
    url: PlaceUrl,
    adapter_class: type[DatabaseAdapter],
    config: Mapping[str, Any],
    documents: Callable[[str], StoreBackend],
) -> _Place:
    """A table of its own in a database, or a store in the table of an application."""
    store, table = url.take("store"), url.take("table")
    if store is None:
        chosen = table or _DOCUMENTS
        return _Place(lambda: documents(chosen), lambda: _has_table(adapter_class(config, _schema()), chosen))
    if table is not None:
        raise StorageConfigurationError(f"the place {url.shown} has both a table and a store; give it one of them")
    return _Place(
        lambda: storage.TableEntries(adapter_class(config, _schema()), store),
        lambda: _has_table(adapter_class(config, _schema()), TABLE),
    )


def _redis(url: PlaceUrl) -> _Place:
    store = url.take("store") or _STORE
    text = url.parts._replace(query=url.rest).geturl()
    return _Place(lambda: storage.RedisEntries(text, store))


def _s3(url: PlaceUrl) -> _Place:
    bucket, (store,) = url.parts.netloc, url.path("the store") if url.parts.path.strip("/") else [_STORE]
    endpoint, region = url.take("endpoint"), url.take("region")
    return _Place(lambda: storage.S3Entries(bucket, store, endpoint=endpoint, region=region))


def _cosmos(url: PlaceUrl) -> _Place:
    database, store = url.path("the database, and the store behind a slash", _STORE)
    settings, container = agent_settings(), url.take("container") or "isthmus_entries"
    key, regions = _secret(settings.cosmos_key), settings.cosmos_regions or ()
    if key is None:
        raise StorageConfigurationError(f"the place {url.shown} needs the account's key; set COSMOS_KEY")
    made = partial(storage.CosmosEntries, container=container, regions=regions, autoscale=settings.cosmos_autoscale)
    return _Place(lambda: made(url.at, key, database, store))


def _qdrant(url: PlaceUrl) -> _Place:
    (collection,), dimensions = url.path("the collection"), url.take("dimensions") or ""
    if not dimensions.isdecimal() or not int(dimensions):
        raise StorageConfigurationError(f"the place {url.shown} needs the dimensions of its vectors: ?dimensions=384")
    key = _secret(ProviderSettings(_env_file=".env").qdrant_api_key)
    return _Place(lambda: storage.QdrantEntries(url.at, collection, dimensions=int(dimensions), api_key=key))


_MAKERS: Final[Mapping[str, Callable[[PlaceUrl], _Place]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "redis": _redis,
    "rediss": _redis,
    "s3": _s3,
    "cosmos": _cosmos,
    "qdrant": _qdrant,
}


def _has_table(adapter: DatabaseAdapter, table: str) -> bool:
    if not is_there(adapter):
        return False
    try:
        with connected(adapter, writes=False) as connection:
            # Those of Isthmus have a schema of their own on PostgreSQL.
            is_ours = table == TABLE and connection.dialect.name == "postgresql"
            return sa.inspect(connection).has_table(table, internal_tables.SCHEMA if is_ours else None)
    finally:
        adapter.disconnect()


def _schema() -> Schema:
    return Schema.of(internal_tables.metadata)


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _secret(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
