"""Logs of containers are bounded, whole lines, and never in the way."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.logs import EXIT_LINES, LogFile, LogPump, lines_of, log_path


def test_every_replica_has_a_file_of_its_own(tmp_path: Path) -> None:
    replicas = [
        ReplicaId(ModelId(name, version), index)
        for name, version, index in [("a", "1", 0), ("a", "1", 1), ("a", "2", 0), ("a-1", "2", 0)]
    ]
    assert len({log_path(tmp_path, replica) for replica in replicas}) == 4


def test_only_newlines_end_a_line() -> None:
    assert lines_of(b"") == []
    assert lines_of(b"one\r\ntwo") == ["one", "two"]
    assert lines_of(b"one\n\ntwo\n") == ["one", "", "two"]
    assert lines_of("a\u2028b\x0bc\n".encode()) == ["a\u2028b\x0bc"]
    assert lines_of(b"\xff\n") == ["\ufffd"]


def test_the_tail_is_the_last_lines_in_order(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "deep" / "0.log")
    file.append(b"one\ntwo\n")
    file.append(b"three\n")
    assert file.tail(2) == ["two", "three"]
    assert file.tail(10) == ["one", "two", "three"]
    assert file.tail(0) == file.tail(-1) == []


def test_what_is_kept_is_bounded_and_is_the_end(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "0.log", cap_bytes=1000)
    for number in range(1000):
        file.append(f"line {number}\n".encode())
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 2 * (1000 + 10)
    lines = file.tail(100)
    assert lines == [f"line {number}" for number in range(900, 1000)]


def test_a_disk_that_refuses_costs_the_output_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "logs").touch()
    file = LogFile(tmp_path / "logs" / "0.log")
    with caplog.at_level(logging.WARNING):
        file.append(b"lost\n")
        file.append(b"lost\n")
    assert len(caplog.records) == 1


async def test_a_pump_moves_everything_and_ends_with_the_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    file = LogFile(tmp_path / "0.log")
    pump = LogPump(reader, file)
    os.write(writer, b"first\n" + b"".join(b"line %d\n" % number for number in range(50)))
    os.write(writer, b"no newline")
    os.close(writer)
    await asyncio.wait_for(pump.run(), 5)
    os.close(reader)
    assert file.tail(2) == ["line 49", "no newline"]
    assert len(file.tail(100)) == 52
    assert pump.recent()[-2:] == ("line 49", "no newline")
    assert len(pump.recent()) == EXIT_LINES


async def test_a_pump_without_input_remembers_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pump = LogPump(reader, LogFile(tmp_path / "0.log"))
    os.close(writer)
    await pump.run()
    os.close(reader)
    assert pump.recent() == ()
    assert os.listdir(tmp_path) == []
