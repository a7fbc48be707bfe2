"""The routes of Convergence's storage: what is sent is found, by whom it may be, and every answer has one form."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from config.settings import ConfigurationError
from database.core.context import as_application
from database.extension import Isthmus
from storage import ConvexStorage
from storage import StorageConfigurationError
from storage import StorageError
from storage import StorageNotFoundError
from storage import StoreDeclaration
from storage import verify_integration
from stores import Experiments
from stores import RecordStoreDeclaration
from stores import current_experiments
from stores.current import RecordStores
from tests.contract.backends import supabase_database
from tests.integration.http.support import CHEAP
from tests.integration.http.support import PROBLEM
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.servers.postgres import PostgresServer
from tests.stores.experiments.laboratory import PACKAGE
from tests.stores.experiments.test_keys import IDS
from tests.stores.experiments.test_records import EXPERIMENT
from tests.stores.experiments.test_records import RUN
from tests.stores.experiments.test_records import STARTED_RUN

PLACE = "/api/convergence/storage"
EPISODE: dict[str, Any] = {
    "rl_key": "episode:a1:000001",
    "rl_record_type": "episode",
    "agent_id": "a1",
    "episode_timestamp": 1234567890,
    "rl_episode_data": {"reward": 0.85, "$type": "mine", "large": 2**70},
}


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = make_site(tmp_path_factory.mktemp("site"), APPLICATION_PACKAGE=PACKAGE).hash_with(CHEAP)
    yield site
    site.close()


@pytest.fixture(scope="module")
def user(shared_site: Site) -> Headers:
    return shared_site.register()


@pytest.fixture(scope="module")
def admin(shared_site: Site) -> Headers:
    return shared_site.admin()


@pytest.fixture
def experiments(shared_site: Site) -> Experiments:
    found: Experiments = Isthmus.of(shared_site.app)[RecordStores]["experiments"].records
    return found


@pytest.fixture
def site(shared_site: Site, experiments: Experiments) -> Site:
    with as_application():
        experiments.clear()
    return shared_site


def refused(answer: Any, status: int) -> str:
    """Check that an error has both forms; its reason."""
    assert (answer.status_code, answer.content_type) == (status, PROBLEM)
    assert (answer.json["success"], answer.json["data"], answer.json["status"]) == (False, None, status)
    reason: str = answer.json["error"]
    return reason


class OverHttp:
    """The client of the document, with its other methods."""

    def __init__(self, site: Site, headers: Headers) -> None:
        transport = httpx.WSGITransport(site.app)
        self._client = httpx.Client(transport=transport, base_url=f"http://testserver{PLACE}", headers=headers)

    def save_rl_data(self, **fields: Any) -> Any:
        return self._client.post("/rl-data", json=fields).json()

    def get_rl_data_by_key(self, rl_key: str) -> Any:
        return self._client.get(f"/rl-data/{rl_key}").json()

    def save_experiment(self, **fields: Any) -> Any:
        return self._client.post("/experiments", json=fields).json()

    def get_experiment(self, experiment_id: str) -> Any:
        return self._client.get(f"/experiments/{experiment_id}").json()

    def start_optimization_run(self, **fields: Any) -> Any:
        return self._client.post("/runs", json={**fields, "status": "started"}).json()

    def complete_optimization_run(self, **fields: Any) -> Any:
        return self._client.post("/runs", json={**fields, "status": "completed"}).json()

    def get_optimization_run(self, run_id: str) -> Any:
        return self._client.get(f"/runs/{run_id}").json()

    def delete_by_key(self, key: str) -> Any:
        return self._client.delete(f"/keys/{key}").json()

    def list_keys(self, prefix: str) -> Any:
        return self._client.get("/keys", params={"prefix": prefix}).json()


def test_a_storage_uses_the_routes(site: Site, user: Headers, admin: Headers, experiments: Experiments) -> None:
    storage = ConvexStorage(client=OverHttp(site, user))
    plain = {name: part for name, part in EXPERIMENT.items() if name != "metrics"}

    async def use() -> None:
        await storage.save("episode:test:001", {"agent_id": "test_agent", "timestamp": 123456, "reward": 0.9})
        await storage.save("experiment:exp_001", {**plain, "metrics": {"recall": 1.0}})
        await storage.save("run:run_abc", STARTED_RUN)
        await storage.save("run:run_abc", RUN)
        assert (await storage.load("episode:test:001"))["timestamp"] == 123456
        assert await storage.load("experiment:exp_001") == {**plain, "metrics": {"recall": 1.0}}
        assert await storage.load("run:run_abc") == RUN
        assert await storage.exists("episode:test:001")
        assert not await storage.exists("run:none")
        with pytest.raises(StorageNotFoundError):
            await storage.load("experiment:none")
        assert await storage.list_keys("e") == ["episode:test:001", "experiment:exp_001"]
        with pytest.raises(StorageError, match="Forbidden"):
            await storage.delete("run:run_abc")

    asyncio.run(use())
    with as_application():
        assert experiments.load("run:run_abc") == RUN
    report = asyncio.run(verify_integration(OverHttp(site, admin)))
    assert (report.ok, report.absent) == (True, ()), str(report)


def test_data_is_stored_whole_and_answers_have_one_form(site: Site, user: Headers) -> None:
    saved = site.post(f"{PLACE}/rl-data", {**EPISODE, "station": "s", "self": 1}, user)
    assert (saved.status_code, saved.json) == (
        200,
        {"success": True, "data": {"key": "episode:a1:000001"}, "error": None},
    )
    got = site.get(f"{PLACE}/rl-data/episode:a1:000001", user)
    assert got.json == {"success": True, "data": {**EPISODE, "station": "s", "self": 1}, "error": None}
    assert got.headers["ETag"] == saved.headers["ETag"]
    assert "Not Found" in refused(site.get(f"{PLACE}/rl-data/episode:none", user), 404)


def test_who_may_do_what(site: Site, user: Headers, admin: Headers) -> None:
    assert "Unauthorized" in refused(site.post(f"{PLACE}/rl-data", EPISODE), 401)
    refused(site.get(f"{PLACE}/keys"), 401)
    refused(site.get(f"{PLACE}/keys", {"Authorization": "Bearer nothing"}), 401)
    site.post(f"{PLACE}/rl-data", EPISODE, user)
    refused(site.call("DELETE", f"{PLACE}/keys/episode:a1:000001", headers=user), 403)
    for table in ("rl_data", "optimization_runs"):
        assert site.get(f"/api/{table}", admin).status_code == 404
    assert site.call("DELETE", f"{PLACE}/keys/episode:a1:000001", headers=admin).json["data"] is True
    assert site.call("DELETE", f"{PLACE}/keys/episode:a1:000001", headers=admin).json["data"] is False


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("rl-data", {}, "'rl_key'"),
        ("rl-data", [], "JSON object"),
        ("rl-data", {**EPISODE, "rl_key": "audit:1"}, "audit:1"),
        ("rl-data", {**EPISODE, "rl_key": 1}, "key"),
        ("rl-data", {**EPISODE, "rl_record_type": "trajectory"}, "trajectory"),
        ("rl-data", {**EPISODE, "episode_timestamp": "soon"}, "episode_timestamp"),
        ("rl-data", {**EPISODE, "rl_episode_data": [1]}, "rl_episode_data"),
        ("rl-data", {**EPISODE, "success": 1}, "success"),
        ("experiments", {"experiment_id": "e"}, "'optimization_run_id'"),
        ("runs", {"run_id": "r"}, "'system_name'"),
        ("runs", {"run_id": "r", "status": "failed"}, "'completed'"),
        ("runs", {"run_id": "r", "system_name": "s", "algorithm_name": "a", "winning_config": {}}, "'winning_config'"),
        ("runs", {"run_id": ["r"], "status": "completed"}, "key"),
        ("runs", {"run_id": "", "status": "completed"}, "key"),
        ("runs", {"run_id": "r" * 256, "status": "completed"}, "255"),
        ("runs?a=1", {"run_id": "r", "status": "completed"}, "'a'"),
    ],
)
def test_what_is_wrong_is_named_and_stores_nothing(
    site: Site, user: Headers, path: str, body: Any, reason: str
) -> None:
    assert reason in refused(site.post(f"{PLACE}/{path}", body, user), 400)
    assert site.get(f"{PLACE}/keys", user).json["data"] == []


def test_a_completed_run_does_not_start_again(site: Site, user: Headers) -> None:
    start = {"run_id": "r/1", "system_name": "s", "algorithm_name": "a"}
    assert site.post(f"{PLACE}/runs", start, user).status_code == 200
    assert site.post(f"{PLACE}/runs", {"run_id": "r/1", "status": "completed"}, user).status_code == 200
    assert "completed already" in refused(site.post(f"{PLACE}/runs", start, user), 409)
    assert site.get(f"{PLACE}/runs/r/1", user).json["data"] == {**start, "status": "completed"}


def test_conditions_and_repetitions(site: Site, user: Headers) -> None:
    first = site.post(f"{PLACE}/rl-data", EPISODE, {**user, "If-None-Match": "*"})
    refused(site.post(f"{PLACE}/rl-data", EPISODE, {**user, "If-None-Match": "*"}), 412)
    etag = first.headers["ETag"]
    second = site.post(f"{PLACE}/rl-data", EPISODE, {**user, "If-Match": etag, "Idempotency-Key": "k"})
    again = site.post(f"{PLACE}/rl-data", EPISODE, {**user, "If-Match": etag, "Idempotency-Key": "k"})
    assert (second.status_code, again.status_code, again.headers["Idempotency-Replayed"]) == (200, 200, "true")
    refused(site.post(f"{PLACE}/rl-data", EPISODE, {**user, "If-Match": etag}), 412)
    current = {**user, "If-None-Match": second.headers["ETag"]}
    assert site.get(f"{PLACE}/rl-data/{EPISODE['rl_key']}", current).status_code == 304


def test_keys_come_in_pages(site: Site, user: Headers, experiments: Experiments) -> None:
    with as_application():
        for number in range(5):
            experiments.save(f"run:{number}", {})
    first = site.get(f"{PLACE}/keys?prefix=run:&limit=3", user).json
    assert (first["data"], first["next_cursor"]) == (["run:0", "run:1", "run:2"], "run:2")
    assert site.get(f"{PLACE}/keys?prefix=run:&cursor=run:2", user).json["data"] == ["run:3", "run:4"]
    for query in ("limit=0", "limit=501", "limit=x", "other=1"):
        refused(site.get(f"{PLACE}/keys?{query}", user), 400)


def test_hostile_ids_are_found_by_their_urls(site: Site, user: Headers) -> None:
    for number, id_ in enumerate(IDS):
        run = {"run_id": id_, "system_name": str(number), "algorithm_name": "a"}
        assert site.post(f"{PLACE}/runs", run, user).status_code == 200
    for number, id_ in enumerate(IDS):
        found = site.get(f"{PLACE}/runs/{quote(id_, safe='')}", user)
        assert found.json["data"]["system_name"] == str(number)
    keys = site.get(f"{PLACE}/keys?prefix=run:&limit=500", user).json["data"]
    assert keys == sorted(f"run:{id_}" for id_ in IDS)
    raw = {"PATH_INFO": f"{PLACE}/runs/\xff"}
    assert "UTF-8" in refused(site.get(PLACE, user, environ_overrides=raw), 400)


@pytest.mark.parametrize(
    ("package", "declared", "message"),
    [
        ("tests.laboratory.config", RecordStoreDeclaration(), r"declare_experiments\(metadata\)"),
        (PACKAGE, RecordStoreDeclaration(access={"read": "owner"}), "have no owners"),
        (PACKAGE, RecordStoreDeclaration(access={"reads": "user"}), "keys read, write and delete"),
        (PACKAGE, RecordStoreDeclaration(blobs="default"), "has no blobs"),
        (PACKAGE, RecordStoreDeclaration(general="none"), "'none', which STORES does not declare"),
    ],
)
def test_a_wrong_declaration_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, declared: RecordStoreDeclaration, message: str
) -> None:
    monkeypatch.setattr(f"{package}.stores.RECORD_STORES", {"experiments": declared}, raising=False)
    with pytest.raises(ConfigurationError, match=message):
        make_site(tmp_path, APPLICATION_PACKAGE=package)


def test_a_name_that_no_record_store_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PACKAGE}.stores.RECORD_STORES", {"experimets": RecordStoreDeclaration()})
    with pytest.raises(ConfigurationError, match=r"experimets.*use agents, evaluations, experiments"):
        make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE)


def test_what_is_granted_to_nobody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"experiments": RecordStoreDeclaration(access={"read": "anyone"})}
    monkeypatch.setattr(f"{PACKAGE}.stores.RECORD_STORES", declared)
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE).hash_with(CHEAP)
    assert site.get(f"{PLACE}/keys").json["data"] == []
    refused(site.post(f"{PLACE}/rl-data", EPISODE), 401)
    assert "nobody" in refused(site.post(f"{PLACE}/rl-data", EPISODE, site.admin()), 403)
    site.close()


def test_without_a_declaration_there_are_no_routes(tmp_path: Path) -> None:
    site = make_site(tmp_path)
    assert site.get(f"{PLACE}/keys").status_code == 404
    with site.app.test_request_context(), pytest.raises(StorageConfigurationError, match="RECORD_STORES"):
        current_experiments()
    site.close()


def test_values_with_other_keys_are_in_the_store_that_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has no access rules, so that only the routes of experiments lead to its values."""
    monkeypatch.setattr(f"{PACKAGE}.stores.STORES", {"rest": StoreDeclaration()})
    monkeypatch.setattr(f"{PACKAGE}.stores.RECORD_STORES", {"experiments": RecordStoreDeclaration(general="rest")})
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE).hash_with(CHEAP)
    user = site.register()
    assert site.post(f"{PLACE}/rl-data", EPISODE, user).status_code == 200
    with site.app.test_request_context():
        for key in ("cache:1", "note:1", "note:2", "zoo"):
            current_experiments().save(key, [key])
    pages = [site.get(f"{PLACE}/keys?limit=2", user).json]
    while pages[-1]["next_cursor"]:
        pages.append(site.get(f"{PLACE}/keys?limit=2&cursor={pages[-1]['next_cursor']}", user).json)
    assert [page["data"] for page in pages] == [["cache:1", EPISODE["rl_key"]], ["note:1", "note:2"], ["zoo"]]
    assert site.get(f"{PLACE}/keys?prefix=note:", user).json["data"] == ["note:1", "note:2"]
    assert site.call("DELETE", f"{PLACE}/keys/note:1", headers=site.admin()).json["data"] is True
    assert site.get(f"{PLACE}/keys?prefix=n", user).json["data"] == ["note:2"]
    assert site.get("/api/storage/rest/zoo", user).status_code == 404
    site.close()


def test_rows_of_a_project_are_read_by_its_application_only(tmp_path: Path, postgres_server: PostgresServer) -> None:
    database = supabase_database(postgres_server)
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE, **supabase_settings(database)).hash_with(CHEAP)
    user = site.register()
    assert site.post(f"{PLACE}/rl-data", EPISODE, user).status_code == 200
    refused(site.post(f"{PLACE}/runs", {"run_id": "r", "status": "failed"}, user), 400)
    assert site.get(f"{PLACE}/rl-data/{EPISODE['rl_key']}", user).json["data"] == EPISODE
    assert site.get(f"{PLACE}/keys", user).json["data"] == [EPISODE["rl_key"]]
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("select agent_id, episode_timestamp from rl_data").fetchall() == [
            ("a1", 1234567890.0)
        ]
        connection.execute("set role authenticated")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from rl_data")
    site.close()
    postgres_server.drop_database(database)
