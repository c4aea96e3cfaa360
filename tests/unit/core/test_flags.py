"""The command line that is made from the settings."""

import pytest

from clipper import __version__
from clipper.core.errors import SettingsError
from clipper.core.flags import FLAGS, parse_flags
from clipper.core.settings import Settings, load_settings


def test_every_setting_is_a_flag_with_a_help_text() -> None:
    assert [flag.key for flag in FLAGS] == list(Settings.model_fields)
    assert all(flag.name == "--" + flag.key.replace("_", "-") and flag.help for flag in FLAGS)


def test_only_given_flags_come_back() -> None:
    assert parse_flags([]) == {}
    assert parse_flags(["--query-port", "0", "--insecure"]) == {
        "query_port": "0",
        "insecure": True,
    }


def test_a_switch_can_be_turned_off_again() -> None:
    environ = {"HOME": "/", "CLIPPER_INSECURE": "true"}
    assert not load_settings(parse_flags(["--no-insecure"]), environ).insecure


def test_values_reach_the_settings_as_they_are_meant() -> None:
    argv = ["--drain-s=1.5", "--host", "::1", "--queue-limit", "7", "--log-format", "json"]
    settings = load_settings(parse_flags(argv), {"HOME": "/"})
    assert (settings.drain_s, settings.host, settings.queue_limit) == (1.5, "::1", 7)
    assert settings.log_format == "json"


@pytest.mark.parametrize(
    ("argv", "name", "hint"),
    [
        (["--query-prot", "1"], "--query-prot", "Did you mean --query-port?"),
        (["--drain-ms=1"], "--drain-ms", "Did you mean --drain-s?"),
        (["--query_port", "1"], "--query_port", "Did you mean --query-port?"),
        (["--query", "1"], "--query", "Did you mean"),
        (["--xyzzy"], "--xyzzy", "The choices are: --admin-port,"),
        (["serve"], "serve", "--help"),
        (["-x"], "-x", "--help"),
    ],
)
def test_an_unknown_flag_is_refused_with_a_hint(argv: list[str], name: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is no flag") as caught:
        parse_flags(argv)
    assert hint in caught.value.hint


@pytest.mark.parametrize("argv", [["--host"], ["--host", "--insecure"], ["--insecure=perhaps"]])
def test_a_flag_without_its_value_is_refused(argv: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"--(host|insecure)"):
        parse_flags(argv)


def test_help_tells_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_flags(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--drain-s SECONDS seconds, 0 to 3600, to finish queries" in text
    assert "(default: 1337)" in text
    assert "--log-format text|json" in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_flags(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"clipperd {__version__}\n"
