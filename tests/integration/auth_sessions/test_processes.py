"""Sessions between processes: one that is killed in the middle, and one that hears of a session's end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import httpx

from auth.sessions.refresh_tokens import RefreshToken
from auth.sessions.sessions import TOKENS
from tests.integration.auth_sessions import crashing
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import bearer
from tests.integration.http.support import make_site
from tests.integration.http.support import wait_until
from tests.laboratory import ENVIRONMENT
from tests.simulation.served import ROOT
from tests.simulation.served import ServedApp

ADA = {"email": "ada@example.org", "password": PASSWORD}
SECRET = "only-for-the-throwaway-app-of-a-test"
BOUND = 2.0
MARGIN = 5.0  # seconds that a busy machine may add


def get_me(app: ServedApp, token: str) -> int:
    return httpx.get(f"{app.url}/auth/me", headers=bearer(token), timeout=30, trust_env=False).status_code


def test_a_session_that_ends_in_one_process_is_refused_by_another(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    site = make_site(tmp_path, LOCAL_DB_PATH=path, JWT_SECRET=SECRET)
    tokens, kept = site.post("/auth/register", ADA).json, site.post("/auth/login", ADA).json
    token = tokens["access_token"]
    with ServedApp(tmp_path, LOCAL_DB_PATH=str(path), LOCAL_DB_SYNCHRONOUS="normal") as other:
        assert get_me(other, token) == 200
        assert site.post("/auth/logout", {}, bearer(token)).status_code == 204
        ended_at = monotonic()
        assert site.get("/auth/me", bearer(token)).status_code == 401
        wait_until(lambda: get_me(other, token) == 401, "the other process goes on believing the token")
        assert monotonic() - ended_at < BOUND + MARGIN
        assert get_me(other, kept["access_token"]) == 200
        refused = httpx.post(
            f"{other.url}/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, timeout=30, trust_env=False
        )
        assert refused.status_code == 401
    site.close()


def test_what_a_killed_process_exchanged_is_given_out_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "isthmus.db"
    site = make_site(tmp_path, LOCAL_DB_PATH=path, JWT_SECRET=SECRET)
    parent = site.post("/auth/register", ADA).json["refresh_token"]
    settings = {"ENVIRONMENT": "testing", "INSTANCE_PATH": str(tmp_path), "LOCAL_DB_PATH": str(path)}
    process = subprocess.run(
        [sys.executable, str(Path(crashing.__file__))],
        input=parent.encode(),
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "JWT_SECRET": SECRET, **ENVIRONMENT, **settings},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    (unused,) = (row["id"] for row in site.dump()[TOKENS] if row["used_at"] is None)
    answer = site.post("/auth/refresh", {"refresh_token": parent})
    assert answer.status_code == 200, answer.text
    assert RefreshToken.parse(answer.json["refresh_token"]).id == unused
    assert site.post("/auth/refresh", {"refresh_token": answer.json["refresh_token"]}).status_code == 200
    site.close()
