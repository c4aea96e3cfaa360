"""Children to their ends: how they ended, what they said, and that nothing of them is left."""

import asyncio
import re
import secrets
from pathlib import Path

import pytest

from clipper.core.tasks import Tasks
from clipper.deploy.lifeline import Lifeline
from clipper.deploy.logs import LogFile
from clipper.deploy.manager import Exit
from clipper.deploy.process import following
from clipper.deploy.process.child import Child
from clipper.deploy.process.following import follow
from clipper.deploy.reaper import MARK_VARIABLE
from tests.fakes.watching import eventually, is_alive

LEAVES_SOMEBODY = "setsid sleep 3600 & echo child $!; "


class Bench:
    def __init__(self, folder: Path) -> None:
        self.log = LogFile(folder / "log")
        self.mark = f"{secrets.token_hex(4)}."

    async def follow(self, script: str) -> Exit:
        """Run a shell script to its end."""
        variables = {"PATH": "/usr/bin:/bin", MARK_VARIABLE: self.mark}
        child = Child(["/bin/sh", "-c", script], variables)
        return await follow(child, self.mark, Lifeline(self.mark), self.log)

    @property
    def lines(self) -> list[str]:
        return self.log.tail(1000)

    @property
    def child(self) -> int:
        """Whom the script has told of."""
        found = re.search(r"child (\d+)", "\n".join(self.lines))
        return int(found[1]) if found else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_an_end_is_told_with_its_last_lines_which_are_in_the_log(bench: Bench) -> None:
    end = await bench.follow("echo one; echo two >&2; exit 3")
    assert end == Exit(3, "exited with code 3", ("one", "two"))
    assert bench.lines == ["one", "two"]


async def test_whoever_left_its_group_goes_with_it(bench: Bench) -> None:
    end = await bench.follow(LEAVES_SOMEBODY + "exit 0")
    assert end.code == 0
    assert bench.child
    assert await eventually(lambda: not is_alive(bench.child), 5)


async def test_cancelled_it_ends_the_child_and_all_that_it_started(bench: Bench) -> None:
    tasks = Tasks()
    script = LEAVES_SOMEBODY + "echo child $$; sleep 3600"
    following = tasks.spawn("follow", bench.follow(script), is_awaited=True)
    assert await eventually(lambda: len(bench.lines) == 2, 10)
    pids = [int(line.split()[1]) for line in bench.lines]
    assert all(map(is_alive, pids))
    following.cancel()
    await asyncio.wait([following])
    assert following.cancelled()
    assert not any(map(is_alive, pids))


async def test_where_the_rest_cannot_be_looked_for_the_end_is_told_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(following, "kill_marked", refuse)
    assert (await bench.follow("exit 7")).code == 7
    assert "Too many open files" in caplog.text
