"""The ring of keys in its file: how it is made, locked, replaced, watched, and what a damaged one does."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auth.bridge import AuthBridge
from auth.errors import KeyConfigurationError
from auth.errors import RotationRefused
from auth.keys.key_states import State
from auth.keys.pem import new_private_key
from auth.keys.pem import private_pem
from auth.keys.ring import KeyRing
from auth.keys.ring import load_keyring
from auth.keys.signing import thumbprint
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from tests.clocks import WallClock
from tests.unit.auth.forging import SECRET

PASSWORD = "correct-horse-battery-staple-0123"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


def settings(folder: Path, **overrides: object) -> Settings:
    return load_settings(None, **{"INSTANCE_PATH": folder, "ENVIRONMENT": "testing", **overrides})


def make_bridge(folder: Path, clock: WallClock, **overrides: object) -> AuthBridge:
    return AuthBridge(settings=settings(folder, **overrides), now=clock)


def stored(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "keyring.json").read_bytes())
    return found


def refused(folder: Path, **overrides: object) -> dict[str, str]:
    with pytest.raises(KeyConfigurationError) as caught:
        load_keyring(settings(folder, **overrides))
    assert PASSWORD not in str(caught.value)
    return caught.value.problems


def put_former_key(folder: Path, algorithm: str = "ES256") -> str:
    """A key where earlier versions kept it; its name."""
    folder.mkdir()
    private = new_private_key(algorithm)
    (folder / f"jwt_{algorithm.lower()}.pem").write_bytes(private_pem(private, None))
    return thumbprint(private.public_key())


def test_a_ring_is_made_once_for_its_owner_only(folder: Path) -> None:
    first = load_keyring(settings(folder)).current
    assert first.algorithm == "ES256"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == [".keyring.json.lock", "keyring.json"]
    assert load_keyring(settings(folder)).current.kid == first.kid


def test_the_file_may_be_elsewhere(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "secrets" / "keys"
    kid = load_keyring(settings(folder, JWT_KEYRING_FILE=file)).current.kid
    assert json.loads(file.read_bytes())["keys"][0]["kid"] == kid
    assert not folder.exists()


def test_private_keys_are_locked_with_the_password(folder: Path) -> None:
    kid = load_keyring(settings(folder, JWT_KEYRING_PASSWORD=PASSWORD)).current.kid
    pem = stored(folder)["keys"][0]["private_key"].encode()
    with pytest.raises(TypeError, match="Password was not given"):
        load_pem_private_key(pem, None)
    # What it says depends on chance: of some keys, what a wrong password makes of them has a valid end.
    with pytest.raises(ValueError):  # noqa: PT011
        load_pem_private_key(pem, b"x" * 32)
    private: Any = load_pem_private_key(pem, PASSWORD.encode())
    assert thumbprint(private.public_key()) == kid
    assert load_keyring(settings(folder, JWT_KEYRING_PASSWORD=PASSWORD)).current.kid == kid


def test_without_a_password_the_keys_lie_open_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_keyring(settings(folder))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "JWT_KEYRING_PASSWORD" in caplog.text
    assert "BEGIN PRIVATE KEY" in stored(folder)["keys"][0]["private_key"]


def test_a_password_locks_the_keys_that_lay_open(folder: Path) -> None:
    kid = load_keyring(settings(folder)).current.kid
    assert load_keyring(settings(folder, JWT_KEYRING_PASSWORD=PASSWORD)).current.kid == kid
    assert "BEGIN ENCRYPTED" in stored(folder)["keys"][0]["private_key"]
    assert refused(folder).keys() == {"JWT_KEYRING_PASSWORD"}
    assert refused(folder, JWT_KEYRING_PASSWORD=PASSWORD[::-1]).keys() == {"JWT_KEYRING_PASSWORD"}


@pytest.mark.parametrize("password", [None, "changeme" * 8, "your-jwt-secret-0123456789-0123456789"])
def test_production_demands_a_password_that_nobody_knows(folder: Path, password: str | None) -> None:
    given = {} if password is None else {"JWT_KEYRING_PASSWORD": password}
    assert refused(folder, ENVIRONMENT="production", **given).keys() == {"JWT_KEYRING_PASSWORD"}
    assert not folder.exists()


def test_production_with_a_password_makes_a_ring_without_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_keyring(settings(folder, ENVIRONMENT="production", JWT_KEYRING_PASSWORD=PASSWORD)).current.kid
    assert not caplog.records


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_short_password_is_refused_everywhere(folder: Path, environment: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder, ENVIRONMENT=environment, JWT_KEYRING_PASSWORD="x" * 31)
    assert caught.value.problems == {"JWT_KEYRING_PASSWORD": "must have at least 32 characters"}


@pytest.mark.parametrize("name", ["JWT_KEYRING_FILE", "JWT_KEYRING_PASSWORD"])
@pytest.mark.parametrize("other", [{"JWT_SECRET": SECRET}, {"JWT_PRIVATE_KEY_FILE": "key.pem"}])
def test_settings_of_a_ring_that_is_not_used_are_refused(folder: Path, name: str, other: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder, **{name: PASSWORD, **other})
    assert caught.value.problems.keys() == {name}


@pytest.mark.parametrize("mode", [0o604, 0o602])
def test_a_file_open_to_others(folder: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    locked = {"JWT_KEYRING_PASSWORD": PASSWORD}
    load_keyring(settings(folder, **locked))
    (folder / "keyring.json").chmod(mode)
    assert "chmod" in refused(folder, ENVIRONMENT="production", **locked)["INSTANCE_PATH"]
    load_keyring(settings(folder, **locked))
    assert "chmod" in caplog.text


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
@pytest.mark.parametrize("password", [{}, {"JWT_KEYRING_PASSWORD": PASSWORD}], ids=["open", "locked"])
def test_the_key_of_earlier_versions_is_taken_over(folder: Path, algorithm: str, password: dict[str, str]) -> None:
    kid = put_former_key(folder, algorithm)
    assert load_keyring(settings(folder, JWT_ALGORITHM=algorithm, **password)).current.kid == kid
    assert sorted(path.name for path in folder.iterdir()) == [".keyring.json.lock", "keyring.json"]


def test_a_key_that_is_not_in_the_ring_is_left_alone(folder: Path) -> None:
    put_former_key(folder)
    load_keyring(settings(folder))
    folder.rename(folder.with_name("former"))
    kid = put_former_key(folder)
    (folder / "keyring.json").write_bytes((folder.with_name("former") / "keyring.json").read_bytes())
    assert load_keyring(settings(folder)).current.kid != kid
    assert (folder / "jwt_es256.pem").exists()


def test_a_damaged_key_of_earlier_versions_is_not_replaced(folder: Path) -> None:
    folder.mkdir()
    (folder / "jwt_es256.pem").write_bytes(b"damaged")
    assert refused(folder).keys() == {"INSTANCE_PATH"}
    assert (folder / "jwt_es256.pem").read_bytes() == b"damaged"
    assert not (folder / "keyring.json").exists()


def another_key(content: dict[str, Any]) -> None:
    content["keys"][0]["private_key"] = private_pem(new_private_key("ES256"), None).decode()


def another_algorithm(content: dict[str, Any]) -> None:
    content["keys"][0]["algorithm"] = "RS256"


def no_end(content: dict[str, Any]) -> None:
    content["keys"].append(dict(content["keys"][0]))


def unknown_member(content: dict[str, Any]) -> None:
    content["keys"][0]["state"] = "current"


def of_the_future(content: dict[str, Any]) -> None:
    content["version"] = 2


def empty(content: dict[str, Any]) -> None:
    content["keys"].clear()


@pytest.mark.parametrize("damage", [another_key, another_algorithm, no_end, unknown_member, of_the_future, empty])
def test_what_is_wrong_in_a_file_is_refused_and_not_replaced(
    folder: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    load_keyring(settings(folder))
    content = stored(folder)
    damage(content)
    (folder / "keyring.json").write_text(json.dumps(content))
    problems = refused(folder)
    assert problems.keys() == {"INSTANCE_PATH"}
    assert "PRIVATE" not in problems["INSTANCE_PATH"]
    assert stored(folder) == content


def test_a_damaged_file_is_named_by_the_setting_that_names_it(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"damaged")
    assert refused(folder, JWT_KEYRING_FILE=file).keys() == {"JWT_KEYRING_FILE"}
    file.unlink()
    file.mkdir()
    assert refused(folder, JWT_KEYRING_FILE=file).keys() == {"JWT_KEYRING_FILE"}


def kids(bridge: AuthBridge) -> list[str]:
    return [jwk["kid"] for jwk in bridge.jwks()["keys"]]


@pytest.mark.parametrize("password", [{}, {"JWT_KEYRING_PASSWORD": PASSWORD}], ids=["open", "locked"])
def test_a_rotation_from_beginning_to_end(folder: Path, clock: WallClock, password: dict[str, str]) -> None:
    bridge = make_bridge(folder, clock, **password)
    first, token = bridge.key.kid, bridge.generate_token("ada")
    bridge.rotate_key()
    [_, second] = kids(bridge)
    assert bridge.key.kid == first
    clock.advance(3599)
    late = bridge.generate_token("ada")
    clock.advance(1)
    assert bridge.key.kid == second
    assert kids(bridge) == [second, first]
    assert bridge.validate_token(token) is None
    assert bridge.verify(late)["sub"] == "ada"
    clock.advance(1210)
    assert kids(bridge) == [second]
    bridge.rotate_key()
    assert [key["kid"] for key in stored(folder)["keys"]] == [second, kids(bridge)[1]]


def test_rotating_is_refused_while_a_key_waits(folder: Path, clock: WallClock) -> None:
    bridge = make_bridge(folder, clock)
    bridge.rotate_key()
    before = stored(folder)
    with pytest.raises(RotationRefused, match="There is a next key already"):
        bridge.rotate_key()
    assert stored(folder) == before
    bridge.rotate_key(at_once=True)
    assert [key.state for key in bridge.ring.states()] == [State.RETIRED, State.CURRENT]


def test_with_nothing_to_wait_for_a_key_signs_at_once(folder: Path, clock: WallClock) -> None:
    bridge = make_bridge(folder, clock, JWT_KEY_PUBLISH_SECONDS=0)
    first = bridge.key.kid
    bridge.rotate_key()
    assert first != bridge.key.kid
    assert first in kids(bridge)


def test_a_key_stays_for_an_admin_token_that_lives_longer_than_others(folder: Path, clock: WallClock) -> None:
    bridge = make_bridge(folder, clock, JWT_EXPIRY_SECONDS=60)
    token = bridge.get_admin_token(reason="repair")
    bridge.rotate_key(at_once=True)
    clock.advance(899)
    assert bridge.verify(token)["sub"] == "admin"


def test_a_stolen_key_is_dropped_with_its_tokens_although_they_were_remembered(folder: Path, clock: WallClock) -> None:
    bridge, worker = make_bridge(folder, clock), make_bridge(folder, clock)
    token = bridge.generate_token("ada")
    assert bridge.verify(token)
    assert worker.verify(token)
    bridge.rotate_key(at_once=True, revoke=True)
    assert bridge.validate_token(token) is None
    clock.advance(1)
    assert worker.validate_token(token) is None
    assert worker.verify(bridge.generate_token("ada"))["sub"] == "ada"


def test_another_algorithm_comes_with_the_next_key(
    folder: Path, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    former = make_bridge(folder, clock)
    token = former.generate_token("ada")
    bridge = make_bridge(folder, clock, JWT_ALGORITHM="RS256")
    assert "JWT_ALGORITHM=RS256 takes effect at the next rotation" in caplog.text
    bridge.rotate_key(at_once=True)
    assert [key.algorithm for key in bridge.ring.states()] == ["ES256", "RS256"]
    assert [key.state for key in bridge.ring.states()] == [State.RETIRED, State.CURRENT]
    assert bridge.verify(token)["sub"] == "ada"
    assert {jwk["alg"] for jwk in bridge.jwks()["keys"]} == {"ES256", "RS256"}
    clock.advance(1)
    assert former.verify(bridge.generate_token("bob"))["sub"] == "bob"


def test_a_key_made_elsewhere_a_moment_ago_is_known_at_once(folder: Path, clock: WallClock) -> None:
    bridge, worker = make_bridge(folder, clock), make_bridge(folder, clock)
    bridge.rotate_key(at_once=True)
    assert worker.verify(bridge.generate_token("ada"))["sub"] == "ada"


def test_the_file_is_looked_at_once_a_second_and_when_the_clock_was_put_back(
    folder: Path, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make_bridge(folder, clock)
    looks: list[KeyRing] = []
    read_again = KeyRing._read_again

    def counted(ring: KeyRing) -> bool:
        looks.append(ring)
        return read_again(ring)

    monkeypatch.setattr(KeyRing, "_read_again", counted)
    token = bridge.generate_token("ada")
    for seconds, expected in ((0, 0), (0.999, 0), (0.001, 1), (0.5, 1), (0.5, 2), (-60, 3), (0.5, 3)):
        clock.advance(seconds)
        bridge.verify(token) if seconds >= 0 else bridge.jwks()
        assert len(looks) == expected


def test_a_file_that_is_damaged_later_leaves_the_last_good_keys_in_force(
    folder: Path, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = make_bridge(folder, clock)
    caplog.clear()
    file, good = folder / "keyring.json", (folder / "keyring.json").read_bytes()
    for damage in (lambda: file.write_bytes(b"{"), file.unlink, file.mkdir):
        damage()
        for _ in range(3):
            clock.advance(1)
            assert bridge.verify(bridge.generate_token("ada"))["sub"] == "ada"
        assert bridge.ring.problem is not None
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        caplog.clear()
    with pytest.raises(KeyConfigurationError):
        bridge.rotate_key()
    file.rmdir()
    file.write_bytes(good)
    clock.advance(1)
    assert bridge.jwks()["keys"]
    assert bridge.ring.problem is None


def test_the_same_file_may_come_back(folder: Path, clock: WallClock) -> None:
    bridge = make_bridge(folder, clock)
    file, away = folder / "keyring.json", folder / "away"
    file.rename(away)
    clock.advance(1)
    assert bridge.jwks()["keys"]
    assert bridge.ring.problem is not None
    away.rename(file)
    clock.advance(1)
    assert bridge.jwks()["keys"]
    assert bridge.ring.problem is None


def test_a_file_of_another_user_is_not_replaced(
    folder: Path, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make_bridge(folder, clock)
    before = stored(folder)
    monkeypatch.setattr(os, "geteuid", lambda: (folder / "keyring.json").stat().st_uid + 1)
    with pytest.raises(KeyConfigurationError, match="belongs to another user"):
        bridge.rotate_key()
    assert stored(folder) == before


def test_a_write_that_fails_leaves_the_ring_and_nothing_else(
    folder: Path, clock: WallClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make_bridge(folder, clock)
    before, names = stored(folder), set(folder.iterdir())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyConfigurationError, match="No space left on device"):
        bridge.rotate_key()
    assert stored(folder) == before
    assert set(folder.iterdir()) == names


@pytest.mark.parametrize(
    ("named", "advice"), [({"JWT_SECRET": SECRET}, "JWT_PREVIOUS_SECRETS"), ({}, "JWT_KEYRING_FILE")]
)
def test_keys_that_the_settings_name_say_how_they_are_changed(
    tmp_path: Path, folder: Path, clock: WallClock, named: dict[str, object], advice: str
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(private_pem(new_private_key("ES256"), None))
    file.chmod(0o600)
    bridge = make_bridge(folder, clock, **(named or {"JWT_PRIVATE_KEY_FILE": file}))
    with pytest.raises(RotationRefused, match=advice):
        bridge.rotate_key()
    assert not folder.exists()


def test_a_secret_is_replaced_by_naming_the_former_one(folder: Path, clock: WallClock) -> None:
    token = make_bridge(folder, clock, JWT_SECRET=SECRET).generate_token("ada")
    replaced = {"JWT_SECRET": "n" * 40, "JWT_PREVIOUS_SECRETS": f"{'o' * 40}, {SECRET},"}
    bridge = make_bridge(folder, clock, **replaced)
    assert bridge.verify(token)["sub"] == "ada"
    assert [key.state for key in bridge.ring.states()] == [State.CURRENT, State.RETIRED, State.RETIRED]
    forgotten = make_bridge(folder, clock, JWT_SECRET="n" * 40)
    assert forgotten.validate_token(token) is None
    assert forgotten.verify(bridge.generate_token("bob"))["sub"] == "bob"


def test_from_a_secret_to_keys_that_rotate(folder: Path, clock: WallClock) -> None:
    token = make_bridge(folder, clock, JWT_SECRET=SECRET).generate_token("ada")
    bridge = make_bridge(folder, clock, JWT_PREVIOUS_SECRETS=SECRET)
    assert bridge.key.algorithm == "ES256"
    assert bridge.verify(token)["sub"] == "ada"
    assert [jwk["alg"] for jwk in bridge.jwks()["keys"]] == ["ES256"]
