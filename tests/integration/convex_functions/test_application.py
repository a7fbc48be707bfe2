from __future__ import annotations

import re
from uuid import UUID

import pytest
from convex import ConvexError

from tests.integration.convex_functions.support import MOMENT
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import Row
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import refusal

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000Z")


def test_a_record_lives_and_dies(anyone: Functions, user: Functions, admin: Functions, service: Functions) -> None:
    water = user.mutation("molecules:create", data={"name": "water", "properties": {"ph": 7.0}})
    assert UUID(water["id"]).version == 7
    assert TIMESTAMP.fullmatch(water["created_at"])
    assert water == {
        "id": water["id"],
        "created_at": water["created_at"],
        "updated_at": water["created_at"],
        "version": 1,
        "name": "water",
        "formula": None,
        "properties": {"ph": 7.0},
    }
    changed = user.mutation("molecules:update", id=water["id"], data={"formula": "H2O"})
    assert changed == water | {"formula": "H2O", "version": 2, "updated_at": changed["updated_at"]}
    assert anyone.query("molecules:get", id=water["id"]) == changed
    assert anyone.query("molecules:list") == [changed]
    assert admin.mutation("molecules:remove", id=water["id"]) is None
    assert anyone.query("molecules:get", id=water["id"]) is None
    log = [(change["op"], change["id"], change["actor"]) for change in service.changes()]
    assert log == [
        ("insert", water["id"], "user-1"),
        ("update", water["id"], "user-1"),
        ("delete", water["id"], "admin-1"),
    ]


@pytest.mark.parametrize("table", ["molecules", "experiments", "protocols"])
def test_every_table_has_its_functions(service: Functions, table: str) -> None:
    record = service.mutation(f"{table}:create", data={"name": "one"})
    assert service.query(f"{table}:get", id=record["id"]) == record
    assert service.mutation(f"{table}:update", id=record["id"], data={"name": "two"})["name"] == "two"
    assert [row["name"] for row in service.query(f"{table}:list")] == ["two"]
    service.mutation(f"{table}:remove", id=record["id"])
    assert service.query(f"{table}:list") == []


def test_later_records_are_listed_later(user: Functions) -> None:
    made = [user.mutation("molecules:create", data={"name": f"{n}"})["id"] for n in range(5)]
    assert sorted(made, key=lambda id: id[:13]) == made  # noqa: A006
    assert [row["id"] for row in user.query("molecules:list", limit=3.0)] == sorted(made)[:3]
    assert user.query("molecules:list", limit=0.0) == []


def test_writing_takes_an_identity(anyone: Functions, user: Functions) -> None:
    record = user.mutation("molecules:create", data={"name": "water"})
    for path, arguments in [
        ("molecules:create", {"data": {"name": "x"}}),
        ("molecules:update", {"id": record["id"], "data": {"name": "x"}}),
        ("molecules:remove", {"id": record["id"]}),
    ]:
        with pytest.raises(ConvexError) as error:
            anyone.mutation(path, **arguments)
        assert refusal(error) == {"code": "UNAUTHENTICATED"}
    assert anyone.query("molecules:list") == [record]


def test_removing_takes_the_role_admin(user: Functions, service: Functions) -> None:
    record = user.mutation("molecules:create", data={"name": "water"})
    with pytest.raises(ConvexError) as error:
        user.mutation("molecules:remove", id=record["id"])
    assert refusal(error) == {"code": "FORBIDDEN"}
    service.mutation("molecules:remove", id=record["id"])
    assert service.query("molecules:list") == []


@pytest.mark.parametrize("path", ["molecules:update", "molecules:remove"])
def test_a_record_to_change_must_be_there(service: Functions, path: str) -> None:
    data = {"data": {"name": "x"}} if path.endswith("update") else {}
    with pytest.raises(ConvexError) as error:
        service.mutation(path, id="nothing", **data)
    assert refusal(error) == {"code": "NOT_FOUND", "table": "molecules", "id": "nothing"}


def test_constraints_hold_for_the_application_too(service: Functions) -> None:
    with pytest.raises(ConvexError) as error:
        service.mutation("experiments:create", data={"name": "e", "molecule_id": "nothing"})
    assert refusal(error)["code"] == "FOREIGN_KEY"
    molecule = service.mutation("molecules:create", data={"name": "water"})
    service.mutation("experiments:create", data={"name": "e", "molecule_id": molecule["id"]})
    with pytest.raises(ConvexError) as error:
        service.mutation("molecules:remove", id=molecule["id"])
    assert refusal(error) == {"code": "REFERENCED", "table": "experiments", "column": "molecule_id"}


@pytest.mark.parametrize(
    "data", [{}, {"name": None}, {"name": 1.0}, {"name": "x", "version": 7}, {"name": "x", "id": "mine"}]
)
def test_only_the_declared_fields_can_be_given(user: Functions, data: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match="ArgumentValidationError"):
        user.mutation("molecules:create", data=data)


@pytest.mark.parametrize("data", [{"name": "a\0"}, {"name": "a", "properties": {"b": [{"c": "\0"}]}}])
def test_text_that_not_every_backend_can_store_is_refused(user: Functions, data: dict[str, object]) -> None:
    with pytest.raises(ConvexError) as error:
        user.mutation("molecules:create", data=data)
    assert refusal(error)["code"] == "INVALID"


def test_the_viewer_is_who_calls(anyone: Functions, user: Functions, admin: Functions, service: Functions) -> None:
    assert anyone.query("users:viewer") is None
    viewer = user.query("users:viewer")
    assert (viewer["subject"], viewer["role"], viewer["service"]) == ("user-1", None, False)
    assert (admin.query("users:viewer")["role"], service.query("users:viewer")["service"]) == ("admin", True)


def test_users_cannot_call_what_is_internal(user: Functions) -> None:
    with pytest.raises(RuntimeError, match="Could not find public function"):
        user.get("isthmus_users", "u")
    with pytest.raises(RuntimeError, match="Could not find public function"):
        user.mutation("isthmus:purge", keep_seconds=0.0)


def test_calls_are_part_of_the_commit(service: Functions) -> None:
    create = {"path": "molecules:create", "args": {"data": {"name": "water"}}}
    orphan = {"path": "experiments:create", "args": {"data": {"name": "e", "molecule_id": "nothing"}}}
    with pytest.raises(ConvexError) as error:
        service.commit(calls=[create, orphan])
    assert refusal(error)["code"] == "CALL_REFUSED"
    assert (refusal(error)["path"], refusal(error)["data"]["code"]) == ("experiments:create", "FOREIGN_KEY")
    assert service.query("molecules:list") == []
    answer = service.commit(calls=[create], key="k")
    assert [value["name"] for value in answer["values"]] == ["water"]
    assert service.commit(calls=[create], key="k") == {"replayed": True, "values": answer["values"]}
    assert service.query("molecules:list") == answer["values"]


def test_a_commit_is_refused_if_what_it_did_is_another_functions_now(service: Functions) -> None:
    """A commit whose answer was lost was made before that."""
    step = insert("protocols", protocol("p"))
    assert service.commit(step, key="k", joined=["protocols:create"])["replayed"] is False
    for path in ("users:viewer", "nothing:create"):
        with pytest.raises(ConvexError) as error:
            service.commit(insert("protocols", protocol("q")), joined=["protocols:create", path])
        assert refusal(error) == {"code": "REDEPLOYED", "path": path}
    assert service.commit(step, key="k", joined=["users:viewer"])["replayed"] is True
    assert [row["id"] for row in service.query("protocols:list")] == ["p"]


def protocol(id: str) -> Row:  # noqa: A002
    record = {"id": id, "created_at": MOMENT, "updated_at": MOMENT, "version": 1}
    return record | {"name": "one", "description": None, "steps": None}
