"""Settings: where they come from, what is refused, and that secrets stay unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.settings import ConfigurationError
from config.settings import _declared as declared_settings
from config.settings import load_settings
from config.settings import settings_table


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems(**overrides: object) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**overrides)
    return caught.value.problems


def test_defaults_serve_one_local_database() -> None:
    settings = load_settings()
    assert (settings.environment, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.db_adapter_order == ("local",)
    assert (settings.local_db.enabled, settings.local_db.path) == (True, Path("instance/isthmus.db"))
    assert settings.local_db.synchronous == "full"
    assert (settings.supabase_db.enabled, settings.supabase_db.user) == (False, "postgres")
    assert (settings.jwt_algorithm, settings.jwt_expiry_seconds, settings.jwt_secret) == ("ES256", 900, None)
    assert not settings.production


def test_environment_is_stronger_than_the_file_and_overrides_than_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("HOST=file\nPORT=1\nLOCAL_DB_NAME=file\nLOCAL_DB_USER=file\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "2")
    monkeypatch.setenv("local_db_name", "environment")
    settings = load_settings(LOCAL_DB_PORT=3)
    assert (settings.host, settings.port) == ("file", 2)
    assert (settings.local_db.user, settings.local_db.name, settings.local_db.port) == ("file", "environment", 3)


def test_another_file_or_none_can_be_read(tmp_path: Path) -> None:
    Path(".env").write_text("HOST=default", encoding="utf-8")
    other = tmp_path / "other.env"
    other.write_text("HOST=other", encoding="utf-8")
    assert load_settings(other).host == "other"
    assert load_settings(None).host == "127.0.0.1"


def test_empty_values_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=\nLOCAL_DB_TIMEOUT=\n", encoding="utf-8")
    monkeypatch.setenv("JWT_SECRET", "")
    monkeypatch.setenv("HOST", "from-environment")
    settings = load_settings(host="")
    assert (settings.port, settings.local_db.timeout, settings.jwt_secret) == (8000, 10.0, None)
    assert settings.host == "from-environment"


def test_foreign_variables_are_ignored_and_foreign_overrides_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DB_COLOUR", "blue")
    monkeypatch.setenv("CONVEX_URL", "https://example.convex.cloud")
    load_settings()
    assert problems(local_db_pth="x", colour="blue").keys() == {"LOCAL_DB_PTH", "COLOUR"}


@pytest.mark.parametrize("text", ["1", "true", "yes", "on", "True", "YES"])
def test_truthy_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SUPABASE_DB_POOLER", text)
    assert load_settings().supabase_db.pooler is True


@pytest.mark.parametrize("text", ["0", "false", "no", "off"])
def test_falsy_words(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DB_AUTO_MIGRATE", text)
    assert load_settings().db_auto_migrate is False


def test_order_of_databases_is_trimmed_and_without_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_ADAPTER_ORDER", " supabase, local ,supabase,, ")
    assert load_settings().db_adapter_order == ("supabase", "local")


def test_a_tilde_is_the_home_directory_in_every_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCAL_DB_PATH", "~/data/x.db")
    monkeypatch.setenv("INSTANCE_PATH", "~")
    monkeypatch.setenv("JWT_KEYRING_FILE", "~/keys.json")
    settings = load_settings()
    assert (settings.local_db.path, settings.instance_path) == (tmp_path / "data/x.db", tmp_path)
    assert settings.jwt_keyring_file == tmp_path / "keys.json"
    monkeypatch.delenv("JWT_KEYRING_FILE")
    assert load_settings(JWT_PRIVATE_KEY_FILE="~/key.pem").jwt_private_key_file == tmp_path / "key.pem"
    paths = {name for name, (_, field) in declared_settings().items() if "Path" in str(field.annotation)}
    assert paths == {"LOCAL_DB_PATH", "INSTANCE_PATH", "JWT_KEYRING_FILE", "JWT_PRIVATE_KEY_FILE"}
    assert "begins with ~" in problems(INSTANCE_PATH="~nobody-has-this-name/x")["INSTANCE_PATH"]


def test_zero_is_a_value() -> None:
    zeros = {
        f"{group}_{name}": "0"
        for group in ("LOCAL_DB", "SUPABASE_DB")
        for name in ("TIMEOUT", "RETRY_COUNT", "CIRCUIT_BREAKER_THRESHOLD", "CIRCUIT_BREAKER_TIMEOUT")
    }
    settings = load_settings(**zeros)
    for database in (settings.local_db, settings.supabase_db):
        assert database.timeout == database.circuit_breaker_timeout == 0
        assert database.retry_count == database.circuit_breaker_threshold == 0


def test_every_wrong_setting_is_named_at_once_with_its_reason() -> None:
    wrong = {
        "ENVIRONMENT": "prod",
        "PORT": "http",
        "THREADS": "0",
        "REQUEST_TIMEOUT": "nan",
        "DB_ADAPTER_ORDER": " , ",
        "DB_AUTO_MIGRATE": "perhaps",
        "JWT_ALGORITHM": "none",
        "JWT_EXPIRY_SECONDS": "0",
        "LOCAL_DB_RETRY_COUNT": "-1",
        "LOCAL_DB_MAX_CONNECTIONS": "0",
        "SUPABASE_DB_TIMEOUT": "-0.5",
        "SUPABASE_DB_SSLMODE": "maybe",
        "CONVEX_SYNC_INTERVAL": "0",
        "CONVEX_CONFLICT_RESOLUTION": "newest",
    }
    found = problems(**wrong)
    assert found.keys() == wrong.keys()
    assert all(found.values())
    assert "greater than or equal to 0" in found["LOCAL_DB_RETRY_COUNT"]


def test_what_settings_demand_of_each_other() -> None:
    found = problems(
        LOCAL_DB_MIN_CONNECTIONS=20,
        SUPABASE_DB_ENABLED="yes",
        JWT_SECRET="s" * 32,
        JWT_PRIVATE_KEY_FILE="key.pem",
    )
    assert found.keys() == {"LOCAL_DB_MAX_CONNECTIONS", "SUPABASE_DB_HOST", "JWT_PRIVATE_KEY_FILE"}


def test_a_secret_alone_implies_hs256(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(JWT_SECRET="s").jwt_algorithm == "HS256"
    assert load_settings(JWT_SECRET="s", JWT_ALGORITHM="RS256").jwt_algorithm == "RS256"
    monkeypatch.setenv("JWT_SECRET", "s")
    assert load_settings().jwt_algorithm == "HS256"
    monkeypatch.setenv("JWT_ALGORITHM", "es256")
    assert load_settings().jwt_algorithm == "ES256"


def test_no_secret_is_ever_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "hush-hush")
    monkeypatch.setenv("LOCAL_DB_PASSWORD", "open-sesame")
    settings = load_settings()
    assert "hush-hush" not in repr(settings)
    assert "open-sesame" not in repr(settings)
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == "hush-hush"


def test_an_error_repeats_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "hush-hush")
    monkeypatch.setenv("PORT", "open-sesame")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(LOCAL_DB_PASSWORD=["hush-hush"])
    assert caught.value.problems.keys() == {"PORT", "LOCAL_DB_PASSWORD"}
    assert caught.value.__cause__ is None
    assert "open-sesame" not in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.local_db.port = 1  # type: ignore[misc]


def test_the_table_has_every_setting_and_sets_nothing_that_is_not_read() -> None:
    rows = [line.split(" | ") for line in settings_table().splitlines()[2:]]
    names = [row[0].strip("|` ") for row in rows]
    assert len(names) == len(set(names)) > 40
    assert {"JWT_SECRET", "DB_ADAPTER_ORDER", "LOCAL_DB_PATH", "SUPABASE_DB_CIRCUIT_BREAKER_TIMEOUT"} <= set(names)
    assert all(len(row) == 3 and row[2].strip(" |") for row in rows)
    defaults = {name: row[1].strip("` ") for name, row in zip(names, rows, strict=True)}
    assert defaults["LOCAL_DB_CIRCUIT_BREAKER_TIMEOUT"] == "60"
    # The defaults as they are shown can be set as they are shown.
    assert load_settings(**defaults) == load_settings()
