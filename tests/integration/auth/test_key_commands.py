"""The keys on the command line and on the web: what is shown of them, and how they are changed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from auth.bridge import AuthBridge
from config.settings import load_settings
from database.extension import Isthmus


@pytest.fixture
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Flask:
    """An application with settings of its own, which has been served: the first key is made then."""
    chosen = getattr(request, "param", {})
    app = create_app(load_settings(None, instance_path=tmp_path, local_db_path=tmp_path / "data.db", **chosen))
    Isthmus.of(app)[AuthBridge].jwks()
    return app


def run(app: Flask, *command: str, code: int = 0) -> str:
    """What the command says; no key's material is in it."""
    result = app.test_cli_runner().invoke(args=["auth", *command])
    assert result.exit_code == code, result.output
    assert "PRIVATE" not in result.output
    return result.output


def listed(app: Flask) -> list[list[str]]:
    """The kid, algorithm, state, since and until of each key."""
    return [line.split("  ") for line in _compact(run(app, "keys")) if not line.startswith("kid")]


def _compact(text: str) -> list[str]:
    return ["  ".join(cell.strip() for cell in line.split("  ") if cell) for line in text.splitlines()]


def document(app: Flask, name: str) -> dict[str, Any]:
    """What is published under this name."""
    answer = app.test_client().get(f"/.well-known/{name}")
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("application/json", "public, max-age=300")
    found: dict[str, Any] = json.loads(answer.data)
    return found


def published(app: Flask) -> list[str]:
    return [key["kid"] for key in document(app, "jwks.json")["keys"]]


def test_the_keys_are_listed_with_what_they_are_for(app: Flask) -> None:
    [[first, *current]] = listed(app)
    assert (current[:2], current[3]) == (["ES256", "current"], "-")
    said = run(app, "rotate")
    [_, [second, algorithm, state, since, until]] = listed(app)
    assert (algorithm, state) == ("ES256", "next")
    assert f"The key {second} (ES256) signs from {until} UTC." in said
    assert (datetime.fromisoformat(until) - datetime.fromisoformat(since)).seconds == 3600
    assert published(app) == [first, second]


def test_a_second_rotation_is_refused_with_the_way_out(app: Flask) -> None:
    run(app, "rotate")
    said = run(app, "rotate", code=1)
    assert "is a next key already" in said
    assert "--now" in said
    assert len(listed(app)) == 2


def test_now_the_new_key_signs_and_the_former_one_stays_for_its_tokens(app: Flask) -> None:
    [[first, *_]] = listed(app)
    said = run(app, "rotate", "--now")
    [former, current] = listed(app)
    assert f"The key {current[0]} (ES256) signs now." in said
    assert (former[0], former[2], current[2]) == (first, "retired", "current")
    assert (datetime.fromisoformat(former[4]) - datetime.fromisoformat(former[3])).seconds == 900 + 300 + 10
    assert published(app) == [current[0], first]


def test_a_stolen_key_is_dropped(app: Flask) -> None:
    [[first, *_]] = listed(app)
    run(app, "rotate")
    run(app, "rotate", "--now", "--revoke")
    [[new, *_]] = listed(app)
    assert published(app) == [new]
    assert new != first
    assert "--revoke needs --now" in run(app, "rotate", "--revoke", code=2)
    assert published(app) == [new]


@pytest.mark.parametrize("app", [{"jwt_secret": "s" * 40, "jwt_previous_secrets": "o" * 40}], indirect=True)
def test_secrets_are_listed_without_a_name_and_not_rotated(app: Flask) -> None:
    assert [key[:3] for key in listed(app)] == [["-", "HS256", "current"], ["-", "HS256", "retired"]]
    said = run(app, "rotate", code=1)
    assert "JWT_PREVIOUS_SECRETS" in said
    assert "s" * 40 not in said
    assert published(app) == []


def test_the_published_documents_follow_a_rotation(app: Flask) -> None:
    [first] = published(app)
    run(app, "rotate")
    keys = document(app, "jwks.json")["keys"]
    assert [key["kid"] for key in keys] == [first, listed(app)[1][0]]
    assert not {"d", "k", "p", "q"} & {name for key in keys for name in key}
    assert document(app, "openid-configuration")["id_token_signing_alg_values_supported"] == ["ES256"]


def test_a_private_key_is_in_the_file_only(app: Flask, tmp_path: Path) -> None:
    run(app, "rotate")
    stored = json.loads((tmp_path / "keyring.json").read_bytes())["keys"]
    said = run(app, "keys") + run(app, "convex-config")
    for key in stored:
        assert all(line not in said for line in key["private_key"].splitlines() if line)
