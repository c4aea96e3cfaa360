"""The decision log: whose it is, how large it gets, and what is in its lines."""

import asyncio
import json
import multiprocessing
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clipper.core.outputs import output_of
from clipper.selection.comparing import ROLLED_BACK
from clipper.serving.decisions import DecisionLog
from clipper.serving.feedback import Feedback
from clipper.state.memory import MemoryStore
from tests.fakes.predicting import Rig, application, configuration
from tests.fakes.replica import Behaviour


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.jsonl"


def test_only_the_owner_may_read_what_users_said(path: Path) -> None:
    DecisionLog(path).save([b"{}"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_there_is_closed_to_others_too(path: Path) -> None:
    path.touch(0o644)
    path.chmod(0o644)
    DecisionLog(path).save([b"{}"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "{}\n"


def test_a_file_that_would_be_too_large_makes_room_and_one_older_is_kept(path: Path) -> None:
    log = DecisionLog(path, most_bytes=10)
    for line in (b"first", b"second", b"third", b"a line that is longer than a file may be"):
        log.save([line])
    assert path.read_text() == "a line that is longer than a file may be\n"
    older = path.with_name("decisions.jsonl.1")
    assert older.read_text() == "third\n"
    assert stat.S_IMODE(older.stat().st_mode) == 0o600
    assert len(list(path.parent.iterdir())) == 2


def append(path: Path, who: int) -> None:
    """Write many lines, one at a time."""
    log = DecisionLog(path, most_bytes=1400)
    for number in range(100):
        log.save([b"%d %3d..." % (who, number)])


def test_processes_that_append_together_lose_nothing_that_fits_two_files(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append, args=(path, who)) for who in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = [path.with_name("decisions.jsonl.1"), path]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 200, "of 9 bytes each, 140 to a file"


class Logging(Rig):
    """A rig with a decision log."""

    def __init__(self, store: MemoryStore, path: Path) -> None:
        super().__init__(store)
        self.log = DecisionLog(path)
        self.feedback = Feedback(self.predictor, self.states, self.journal, decisions=self.log)

    def lines(self) -> list[dict[str, Any]]:
        """What is to be written."""
        return [json.loads(line) for line in self.log.take()]


@pytest.fixture
async def rig(path: Path) -> AsyncIterator[Logging]:
    store = MemoryStore()
    await store.open()
    rig = Logging(store, path)
    yield rig
    await rig.close()


async def serve(rig: Logging, policy: str, **params: Any) -> None:
    """Two versions of a model."""
    app = application("a", "a", policy=policy, policy_params=params)
    rig.serve(configuration([app], ["a:2", "a:1"]))
    await rig.start("a:1", Behaviour(answer=lambda _: output_of("old")))
    poison = {b"%d" % number for number in range(300)}
    await rig.start("a:2", Behaviour(answer=lambda _: output_of("new"), poison=poison))


@pytest.mark.looptime
@pytest.mark.parametrize("policy", ["ab", "shadow", "exp3"])
async def test_a_decision_is_logged_for_the_user_whom_it_was_about(
    rig: Logging, policy: str
) -> None:
    await serve(rig, policy)
    question = rig.ask(b"question", context="user-1")
    await rig.predictor.drain()
    assert await rig.feedback.by_query("a", question.answer.id, "old", None)
    (line,) = rig.lines()
    assert (line["kind"], line["context"]) == ("lesson", "user-1")


@pytest.mark.looptime
async def test_what_a_policy_decides_without_feedback_is_logged(rig: Logging) -> None:
    await serve(rig, "canary", candidate="a:2", share=0.5)
    for number in range(300):
        rig.ask(b"%d" % number)
        await asyncio.sleep(0.02)
    await rig.feedback.watch()
    await rig.feedback.watch()
    (line,) = rig.lines()
    assert (line["kind"], line["app"], line["verdict"]) == ("traffic", "a", ROLLED_BACK)
    assert line["policy"] == {"name": "canary", "candidate": "a:2", "share": 0.5}
    assert line["counts"]["a:2"]["failed"] == line["counts"]["a:2"]["asked"]
    assert sum(counts["asked"] for counts in line["counts"].values()) == 300
