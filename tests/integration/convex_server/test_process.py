from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.convex_server.support import Caller
from tests.servers.convex_deployment import DEPLOY_KEY
from tests.servers.convex_deployment import DEV_DEPLOY_KEY
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.ports import free_port
from tests.servers.node import FOLDER
from tests.servers.node import installed_node
from tests.servers.processes.process import ServerFailed
from tests.servers.processes.process import stop


def test_a_stopped_deployment_is_gone_and_returns_empty_on_its_port(caller: Caller) -> None:
    with (
        ConvexDeployment(caller.deployment.functions) as deployment,
        httpx.Client(base_url=deployment.url, trust_env=False) as http,
    ):
        own = Caller(deployment, http)
        own.value("mutation", "notes:add", text="lost")
        deployment.stop()
        with pytest.raises(httpx.TransportError):
            own.notes()
        deployment.start()
        assert own.notes() == []


@pytest.mark.parametrize(
    ("name", "source", "reason"),
    [
        ("broken.ts", "export const = 1", "broken.ts"),
        ("broken.ts", "throw new Error('not today')", "not today"),
        ("broken.ts", "import 'no-such-package'", "no-such-package"),
        ("auth.config.ts", "export default { providers: [{ domain: 'https://x' }] }", "OIDC"),
        ("auth.config.ts", "export default { providers: [{ type: 'customJwt', issuer: 'https://x' }] }", "jwks"),
    ],
)
def test_what_cannot_be_deployed_is_said(tmp_path: Path, name: str, source: str, reason: str) -> None:
    (tmp_path / name).write_text(source)
    with pytest.raises(ServerFailed, match=reason), ConvexDeployment(tmp_path):
        pass


def test_a_folder_without_schema_or_providers_is_served(tmp_path: Path) -> None:
    source = (
        'import { queryGeneric } from "convex/server"; export const one = queryGeneric({ handler: async () => 1 });'
    )
    (tmp_path / "lone.js").write_text(source)
    for not_deployed in ("lone.test.js", "vite.config.ts", "types.d.ts", "README.md"):
        (tmp_path / not_deployed).write_text("throw new Error('not to be run')")
    with (
        ConvexDeployment(tmp_path) as deployment,
        httpx.Client(base_url=deployment.url, trust_env=False) as http,
    ):
        assert Caller(deployment, http).value("query", "lone:one") == 1
        refused = Caller(deployment, http).send("query", "lone:one", "Bearer a.b.c")
        assert refused.status_code == 401


def test_an_attached_server_ends_with_its_input(caller: Caller) -> None:
    options = ["--functions", str(caller.deployment.functions), "--deploy-key", DEPLOY_KEY, "--attached"]
    environment = {"CONVEX_JWT_ISSUER": "https://x", "CONVEX_JWT_JWKS": 'data:application/json,{"keys":[]}'}
    with subprocess.Popen(
        [installed_node().binary, str(FOLDER / "convex" / "main.mjs"), *options],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline().startswith(b'ready {"url":"http://127.0.0.1:')
        server.stdin.close()
        assert server.wait(30) == 0


def test_the_program_for_development_says_where_it_is_and_ends_when_interrupted(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    port = free_port()
    environment = {**os.environ, "CONVEX_DEV_PORT": str(port), "INSTANCE_PATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers.convex_deployment"],
        cwd=pytestconfig.rootpath,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline().strip() for _ in range(2)]
        answer = httpx.get(f"http://127.0.0.1:{port}/version", trust_env=False)
        assert answer.status_code == 200
        stop(program, signal.SIGINT)
        assert program.returncode == 0
    assert lines == [f"CONVEX_URL=http://127.0.0.1:{port}", f"CONVEX_DEPLOYMENT_KEY={DEV_DEPLOY_KEY}"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/version", trust_env=False)


def test_the_program_for_development_refuses_tokens_that_convex_cannot_check(pytestconfig: pytest.Config) -> None:
    environment = {**os.environ, "JWT_SECRET": "x" * 32, "CONVEX_DEV_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.convex_deployment"],
        cwd=pytestconfig.rootpath,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "JWT_ALGORITHM" in done.stderr
