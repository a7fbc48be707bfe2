"""A Convex deployment for the tests and, run as a program, for development.

It runs the real functions with Convex' own packages, and answers over HTTP as a deployment does. Documents are kept in
memory and one transaction runs at a time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import Final
from typing import Literal

import httpx

from auth.keys.export import JWKS_PATH
from config.settings import ConfigurationError
from config.settings import load_settings
from database.core.tables.schema import Schema
from database.declared import schema_in
from database.schema.convex_schema import FUNCTIONS
from database.schema.convex_schema import write
from tests import laboratory
from tests.servers.node import FOLDER
from tests.servers.processes.node_server import NodeServer
from tests.servers.processes.node_server import announce
from tests.servers.processes.node_server import run_in_foreground
from tests.servers.processes.server import TIMEOUT
from tests.servers.tokens import JwtProvider
from tests.servers.tokens import TokenSigner

DEPLOY_KEY: Final = "dev:isthmus|only-for-development"
DEV_DEPLOY_KEY: Final = "isthmus-only-for-development"
"""Printed for a shell to read, in which the bar of a real key has a meaning."""

DEV_PORT: Final = 3210

_MAIN: Final = FOLDER / "convex" / "main.mjs"
_READY: Final = "ready "


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests reached a deployment, since it started or was reset.

    :ivar routes: by URL path.
    :ivar functions: calls by the function's path, such as ``molecules:list``.
    """

    routes: dict[str, int]
    functions: dict[str, int]


class ConvexFaults:
    """Failures on demand; they happen in the order in which they were added."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def add(
        self,
        kind: Literal["drop", "delay", "status", "conflict"],
        *,
        path: str | None = None,
        when: Literal["before", "after"] = "before",
        count: int | None = 1,
        **details: Any,
    ) -> None:
        """Have requests fail from here on.

        :param kind: ``drop`` cuts the connection, ``delay`` waits, ``status`` answers with an error, ``conflict`` runs
            a mutation, rolls it back and answers as Convex does when others wrote the same documents.
        :param path: of a function (``molecules:list``) or URL (``/version``); by default any URL, and for conflicts any
            mutation.
        :param when: before or after the request is carried out, which ``conflict`` does not ask.
        :param count: how many requests; None for all until :meth:`clear`.
        :param details: ``ms`` for ``delay``; ``status``, ``code`` and ``retry_after`` in seconds for ``status``.
        """
        fault = {"kind": kind, "path": path, "when": when, "count": count, **details}
        # A count of None has a meaning, a path of None has not.
        body = {name: value for name, value in fault.items() if value is not None or name == "count"}
        self._client.post("/__faults", json=body).raise_for_status()

    def clear(self) -> None:
        """Forget the faults that have not happened."""
        self._client.delete("/__faults").raise_for_status()


class ConvexDeployment(NodeServer):
    """A deployment with empty tables; its documents are lost when it ends, unless it is durable.

    :param functions: the folder that is deployed.
    :param provider: whose tokens are accepted; by default nobody's.
    :param production: keep the messages of failed functions from clients.
    :param control: allow :attr:`faults`, :meth:`reset` and :meth:`requests`.
    :param durable: keep the documents in a file until :meth:`close`, so that it may be killed and started again.
    """

    title = "the deployment"

    def __init__(
        self,
        functions: Path = FUNCTIONS,
        *,
        provider: JwtProvider | None = None,
        port: int | None = None,
        production: bool = False,
        control: bool = True,
        deploy_key: str = DEPLOY_KEY,
        durable: bool = False,
    ) -> None:
        super().__init__(port)
        self.functions = functions
        self.deploy_key = deploy_key
        self._provider = provider or TokenSigner().provider
        self._flags = [*(["--prod"] if production else []), *(["--control"] if control else [])]
        self._flags += [f"--data={self._folder / 'documents'}"] if durable else []
        self._client = self._parts.enter_context(httpx.Client(base_url=self.url, timeout=TIMEOUT, trust_env=False))
        self.faults = ConvexFaults(self._client)

    def reset(self) -> None:
        """Make it as it was when it started: with empty tables, no faults and no requests counted."""
        self._client.post("/__reset").raise_for_status()

    def requests(self) -> Requests:
        """How many requests have reached it."""
        return Requests(**self._client.get("/__requests").raise_for_status().json())

    def _arguments(self) -> list[str]:
        environment = [f"--env={name}={value}" for name, value in self._provider.environment().items()]
        address = [f"--functions={self.functions}", f"--port={self.port}", f"--deploy-key={self.deploy_key}"]
        return [str(_MAIN), *address, *environment, *self._flags]

    def _is_ready(self) -> bool:
        return any(line.startswith(_READY) for line in self.log().splitlines())


def functions_with(schema: Schema, folder: Path, *more: Path) -> Path:
    """Lay out the application's functions for other tables, and more functions, in ``folder``; where they are."""
    target = shutil.copytree(FUNCTIONS, folder / "functions")
    for each in more:
        shutil.copytree(each, target, dirs_exist_ok=True)
    write(schema, target)
    return target


@contextmanager
def laboratory_functions() -> Iterator[Path]:
    """A folder with what is deployed for the tests' application."""
    with TemporaryDirectory() as folder:
        yield functions_with(schema_in(laboratory.PACKAGE), Path(folder), laboratory.FUNCTIONS)


def _provider_of_the_application() -> JwtProvider:
    """The application on this machine, as its settings say. :raises ConfigurationError: they are wrong."""
    settings = load_settings()
    if settings.jwt_algorithm == "HS256":
        raise ConfigurationError({"JWT_ALGORITHM": "HS256 is not known to Convex; set it to ES256 or RS256"})
    jwks = f"http://127.0.0.1:{settings.port}{JWKS_PATH}"
    return JwtProvider(settings.jwt_issuer, settings.jwt_audience, jwks, settings.jwt_algorithm)


def serve() -> None:
    """Serve the application's functions in the foreground until an interrupt."""
    port = int(os.environ.get("CONVEX_DEV_PORT", DEV_PORT))
    provider = _provider_of_the_application()
    with ConvexDeployment(provider=provider, port=port, control=False, deploy_key=DEV_DEPLOY_KEY) as deployment:
        settings = {"CONVEX_URL": deployment.url, "CONVEX_DEPLOYMENT_KEY": deployment.deploy_key}
        announce("A Convex deployment", settings)
        deployment.wait()


if __name__ == "__main__":
    sys.exit(run_in_foreground(serve))
