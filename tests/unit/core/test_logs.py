"""What a log record looks like, and what never breaks it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from clipper.core.logs import configure

TOUCHED = (None, "clipper", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in TOUCHED]
    before = [(log, log.level, log.propagate, list(log.handlers)) for log in loggers]
    yield
    for log, level, propagate, handlers in before:
        log.setLevel(level)
        log.propagate = propagate
        log.handlers[:] = handlers


def only_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_a_record_is_one_json_object_with_its_extra_fields() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    log = logging.getLogger("clipper.serving.replicas")
    log.info("%s joined", "resnet:3#0", extra={"action": "replica_joined", "replica": "resnet:3#0"})
    fields = only_line(stream)
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "info",
        "logger": "clipper.serving.replicas",
        "message": "resnet:3#0 joined",
        "action": "replica_joined",
        "replica": "resnet:3#0",
    }


def test_extra_fields_replace_none_of_ours_and_may_be_any_object() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    logging.getLogger("clipper").info("x", extra={"level": "fake", "where": io.StringIO})
    fields = only_line(stream)
    assert fields["level"] == "info"
    assert "StringIO" in fields["where"]


def test_a_traceback_stays_in_its_json_line() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    try:
        raise ValueError("no\nway")
    except ValueError:
        logging.getLogger("clipper").exception("it broke")
    assert "ValueError: no\nway" in only_line(stream)["traceback"]


def test_text_is_time_level_logger_and_message() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    logging.getLogger("clipper.daemon").warning("%d left", 3, extra={"action": "drain"})
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "WARNING clipper.daemon: 3 left\n"


def test_a_message_cannot_forge_a_line_or_drive_the_terminal() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    logging.getLogger("clipper").info("a\n2026 INFO clipper: forged\x1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r"a\n2026 INFO clipper: forged\x1b[2J")


def test_text_shows_tracebacks_below_the_line() -> None:
    stream = io.StringIO()
    configure("text", "info", stream)
    try:
        raise ValueError("no way")
    except ValueError:
        logging.getLogger("clipper").exception("it broke")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("clipper: it broke")
    assert lines[-1] == "ValueError: no way"


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_the_locale_cannot_show_is_escaped(
    log_format: Any, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    configure(log_format, "info", stream)
    logging.getLogger("clipper").info("中文 \udcff", extra={"file": "\udcff"})
    stream.flush()
    assert b"\\udcff" in raw.getvalue()
    assert capsys.readouterr().err == ""  # where logging reports its own failures


def test_the_level_holds_for_our_loggers_and_others_are_kept_at_info() -> None:
    stream = io.StringIO()
    configure("text", "debug", stream)
    logging.getLogger("clipper.rpc").debug("ours")
    logging.getLogger("somebody.else").debug("theirs")
    logging.getLogger("somebody.else").info("worth knowing")
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == [
        "ours",
        "worth knowing",
    ]
    configure("text", "error", stream)
    logging.getLogger("clipper.rpc").warning("not severe enough")
    assert "not severe enough" not in stream.getvalue()


def test_the_http_server_logs_like_everybody_but_not_every_request() -> None:
    own = logging.StreamHandler(io.StringIO())
    logging.getLogger("uvicorn").addHandler(own)
    logging.getLogger("uvicorn").propagate = False
    stream = io.StringIO()
    configure("text", "info", stream)
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /")
    assert "INFO uvicorn.error: started" in stream.getvalue()
    assert "GET /" not in stream.getvalue()


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("text", "info", first)
    configure("json", "info", second)
    logging.getLogger("clipper").info("once")
    assert first.getvalue() == ""
    assert only_line(second)["message"] == "once"


def test_it_goes_to_stderr_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "info")
    logging.getLogger("clipper").info("hello")
    captured = capsys.readouterr()
    assert captured.err.endswith("clipper: hello\n")
    assert captured.out == ""
