"""Where settings come from, which are refused, and what the refusal says."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clipper.core.errors import SettingsError
from clipper.core.settings import (
    Settings,
    build_variables,
    is_loopback,
    load_settings,
    pip_variables,
)

HOME = {"HOME": "/home/ada"}


def refusal(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None
) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags or {}, HOME | (environ or {}))
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "clipper.toml"


def test_the_defaults_listen_on_this_machine_only() -> None:
    settings = load_settings({}, HOME)
    assert (settings.host, settings.query_port, settings.admin_port) == ("127.0.0.1", 1337, 1338)
    assert settings.data_dir == "/home/ada/.local/share/clipper"
    assert settings.store == "sqlite:////home/ada/.local/share/clipper/clipper.db"
    assert settings.cache_bytes == 32 * 1024 * 1024
    assert not settings.insecure


def test_every_default_passes_its_own_validation() -> None:
    defaults = {
        key: field.default for key, field in Settings.model_fields.items() if field.default != ""
    }
    assert Settings(**defaults) == Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings({}, HOME).query_port = 1  # type: ignore[misc]


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(toml: Path) -> None:
    toml.write_text("query_port = 1\nadmin_port = 2\ndrain_s = 3\nqueue_limit = 4\n")
    environ = {"CLIPPER_CONFIG": str(toml), "CLIPPER_ADMIN_PORT": "20", "CLIPPER_DRAIN_S": "30.5"}
    settings = load_settings({"drain_s": "300"}, HOME | environ)
    assert settings.query_port == 1
    assert settings.admin_port == 20
    assert settings.drain_s == 300
    assert settings.queue_limit == 4
    assert settings.read_timeout_s == 30


def test_the_flag_names_the_file_that_is_read(toml: Path) -> None:
    toml.write_text("query_port = 7")
    environ = HOME | {"CLIPPER_CONFIG": "/nowhere.toml"}
    settings = load_settings({"config": toml}, environ)
    assert settings.query_port == 7
    assert settings.config == str(toml)


def test_no_file_is_read_unless_it_is_named(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text("query_port = 7")
    monkeypatch.chdir(toml.parent)
    assert load_settings({}, HOME).query_port == 1337


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPPER_QUERY_PORT", "4711")
    assert load_settings({"data_dir": "/var/lib/clipper"}).query_port == 4711


def test_none_is_a_flag_that_was_not_given() -> None:
    assert load_settings({"query_port": None}, HOME).query_port == 1337


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("ON", True), ("no", False), ("0", False)]
)
def test_truth_is_written_in_many_ways(text: str, value: bool) -> None:
    assert load_settings({}, HOME | {"CLIPPER_INSECURE": text}).insecure is value


def test_variables_of_containers_and_of_the_admin_client_are_theirs() -> None:
    environ = {
        "CLIPPER_CONTAINER_LISTEN": "x",
        "CLIPPER_URL": "x",
        "CLIPPER_TOKEN": "x",
        "CLIPPER_QUERY_URL": "x",
        "CLIPPERS": "x",
    }
    assert load_settings({}, HOME | environ) == load_settings({}, HOME)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CLIPPER_QUERY_PROT", "CLIPPER_QUERY_PORT"),
        ("CLIPPER_DRAIN_MS", "CLIPPER_DRAIN_S"),
        ("CLIPPER_CACHE_SIZE_BYTES", "CLIPPER_CACHE_BYTES"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(name: str, meant: str) -> None:
    error = refusal(environ={name: "1"})
    assert name in error.message
    assert f"Did you mean {meant}?" in error.hint


def test_an_unknown_variable_that_resembles_none_gets_the_whole_choice() -> None:
    error = refusal(environ={"CLIPPER_XYZZY": "1"})
    assert "CLIPPER_XYZZY" in error.message
    assert "CLIPPER_ADMIN_PORT, CLIPPER_ADMIN_TOKEN" in error.hint


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("query-port = 1", "query-port", "Did you mean query_port?"),
        ("Host = '::1'", "Host", "Did you mean host?"),
        ("[http]\nport = 1", "http", "The choices are"),
        ("config = 'x'", "config", "The choices are"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused(toml: Path, line: str, key: str, hint: str) -> None:
    toml.write_text(line)
    error = refusal({"config": str(toml)})
    assert f"{key} in {toml}" in error.message
    assert hint in error.hint


def test_an_unknown_flag_is_refused() -> None:
    assert "Did you mean --host?" in refusal({"hosts": "x"}).hint


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("query_port", "70000"),
        ("query_port", "-1"),
        ("query_port", "http"),
        ("query_port", "1337.5"),
        ("query_port", ""),
        ("admin_port", "9" * 5000),
        ("cache_bytes", "32MiB"),
        ("cache_bytes", "-1"),
        ("max_body_bytes", "0"),
        ("read_timeout_s", "30s"),
        ("read_timeout_s", "0"),
        ("read_timeout_s", "nan"),
        ("drain_s", "inf"),
        ("drain_s", "-0.5"),
        ("batch_timeout_s", "3600.5"),
        ("queue_limit", "0"),
        ("queue_bytes", "1e3"),
        ("journal_size", "None"),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("docker_image_prefix", "Clipper"),
        ("insecure", "maybe"),
        ("host", ""),
        ("host", "127.0.0.1:80"),
        ("host", "[::1]"),
        ("host", "http://localhost"),
    ],
)
def test_a_wrong_value_is_refused_by_key_value_source_and_fix(key: str, text: str) -> None:
    error = refusal(environ={f"CLIPPER_{key.upper()}": text})
    assert error.message.startswith(f"{key} cannot be ")
    assert text[:40] in error.message
    assert f"CLIPPER_{key.upper()}" in error.message
    assert error.hint.startswith(f"{key}: ")
    assert len(error.message) < 300


@pytest.mark.parametrize(
    "line",
    ['query_port = "1337"', "host = 1", "insecure = 1", "drain_s = true", "queue_limit = 1.0"],
)
def test_the_file_is_held_to_its_types(toml: Path, line: str) -> None:
    toml.write_text(line)
    error = refusal({"config": str(toml)})
    assert f"{line.split()[0]} in {toml}" in error.message


@pytest.mark.parametrize(
    "content", [b"query_port", b"a = [" * 20_000, b"host = '\xff'", b"\xef\xbb\xbfhost = 'x'"]
)
def test_a_file_that_is_no_toml_is_named(toml: Path, content: bytes) -> None:
    toml.write_bytes(content)
    assert str(toml) in refusal({"config": str(toml)}).message


@pytest.mark.parametrize("path", ["/nowhere/clipper.toml", "/proc", "/dev/zero", ""])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    error = refusal(environ={"CLIPPER_CONFIG": path})
    assert repr(path) in error.message
    assert "CLIPPER_CONFIG" in error.message


def test_two_listeners_cannot_share_a_port() -> None:
    error = refusal({"query_port": 8080, "admin_port": 8080})
    assert "query_port and admin_port are both 8080" in error.message
    assert "--admin-port" in error.hint


def test_both_listeners_may_take_free_ports() -> None:
    settings = load_settings({"query_port": 0, "admin_port": 0}, HOME)
    assert settings.query_port == settings.admin_port == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "clipper.example", "128.0.0.1"])
def test_listening_to_other_machines_needs_a_token_or_a_word(host: str) -> None:
    error = refusal({"host": host})
    assert host in error.message
    assert "admin_token" in error.message
    assert "--insecure" in error.hint
    assert refusal({"host": host, "query_token": "t"}).message == error.message
    assert load_settings({"host": host, "insecure": True}, HOME).host == host
    assert load_settings({"host": host, "admin_token": "t"}, HOME).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_listening_to_this_machine_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert load_settings({"host": host}, HOME).host == host


def test_a_token_is_read_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(" s3cret\n")
    settings = load_settings({"admin_token_file": secret}, HOME)
    assert settings.admin_token == "s3cret"
    assert settings.query_token == ""


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "häß", "x" * 2_000_000])
def test_a_token_file_without_a_usable_token_is_refused(tmp_path: Path, content: str) -> None:
    secret = tmp_path / "token"
    secret.write_text(content)
    error = refusal(environ={"CLIPPER_QUERY_TOKEN_FILE": str(secret)})
    assert "CLIPPER_QUERY_TOKEN_FILE" in error.message
    assert content.strip() == "" or content.strip() not in error.message


def test_a_token_and_its_file_from_one_place_contradict_each_other(tmp_path: Path) -> None:
    error = refusal({"admin_token": "a", "admin_token_file": str(tmp_path)})
    assert "--admin-token and --admin-token-file are both given" in error.message


def test_a_token_file_by_flag_replaces_the_variable_s_token(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("by-file")
    environ = HOME | {"CLIPPER_ADMIN_TOKEN": "by-variable"}
    assert load_settings({"admin_token_file": secret}, environ).admin_token == "by-file"
    environ = HOME | {"CLIPPER_ADMIN_TOKEN_FILE": str(secret)}
    assert load_settings({"admin_token": "by-flag"}, environ).admin_token == "by-flag"


@pytest.mark.parametrize("token", ["", " ", "a b", "ä", "x\n"])
def test_an_unusable_token_is_refused_and_not_repeated(token: str) -> None:
    error = refusal(environ={"CLIPPER_ADMIN_TOKEN": token})
    assert error.message == (
        "admin_token cannot be used (CLIPPER_ADMIN_TOKEN): it does not have the form of one"
    )


@pytest.mark.parametrize("line", ["admin_token = 12345", "admin_token_file = 0"])
def test_a_number_is_no_token_and_no_file(toml: Path, line: str) -> None:
    toml.write_text(line)
    assert "12345" not in refusal({"config": str(toml)}).message


def test_secrets_are_not_in_the_representation() -> None:
    settings = load_settings(
        {"admin_token": "s3cret", "query_token": "s3cret", "store": "redis://:s3cret@host"}, HOME
    )
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings)


def test_data_lives_where_the_desktop_convention_says() -> None:
    settings = load_settings({}, HOME | {"XDG_DATA_HOME": "/data"})
    assert settings.data_dir == "/data/clipper"
    assert load_settings({}, HOME | {"XDG_DATA_HOME": "relative"}).data_dir.startswith("/home/ada")


def test_the_store_is_in_the_data_directory_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    settings = load_settings({"data_dir": "data"}, {})
    assert settings.data_dir == "/data"
    assert settings.store == "sqlite:////data/clipper.db"
    assert load_settings({"data_dir": "~/data"}, HOME).data_dir == "/home/ada/data"
    assert load_settings({"store": "memory://"}, HOME).store == "memory://"


@pytest.mark.parametrize("flags", [{}, {"store": "redis://host"}, {"store": "memory://"}])
def test_without_a_home_the_fix_is_named(flags: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="no home directory") as caught:
        load_settings(flags, {})
    assert "--data-dir" in caught.value.hint
    assert "--store" in caught.value.hint


@pytest.mark.parametrize("store", ["sqlite:////srv/clipper/x.db", "sqlite:///srv/clipper/x.db"])
def test_without_a_home_data_lives_beside_the_store(store: str) -> None:
    settings = load_settings({"store": store}, {})
    assert re.fullmatch("/{1,2}srv/clipper", settings.data_dir)


def test_pip_gets_its_own_configuration_and_nothing_secret_of_ours() -> None:
    environ = {
        "PIP_INDEX_URL": "https://user:password@example.com/simple",
        "HOME": "/home/ann",
        "PATH": "/usr/bin",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    ours = {"CLIPPER_ADMIN_TOKEN": "secret", "AWS_SECRET_ACCESS_KEY": "secret", "PYTHONPATH": "/x"}
    assert pip_variables(environ | ours) == environ


def test_a_build_of_an_image_gets_what_pip_does_and_the_way_to_the_docker_engine() -> None:
    environ = {"PIP_INDEX_URL": "somewhere", "DOCKER_HOST": "unix:///run/other.sock"}
    assert build_variables({**environ, "CLIPPER_ADMIN_TOKEN": "secret"}) == environ
