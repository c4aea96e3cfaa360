"""The supervisor: every place has a worker, whatever becomes of the one that was there."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from clipper.core.tasks import Tasks
from clipper.workers.channel import Channel
from clipper.workers.crew import Crew, Worker
from clipper.workers.merging import Told
from clipper.workers.messages import Cover, Leave, Noted, Serving, ToMain, ToWorker
from clipper.workers.supervisor import (
    BACKOFF_MAX_S,
    EXIT_GRACE_S,
    SETTLED_S,
    SILENT_TICKS,
    START_S,
    STARTING_TICKS,
    TICK_S,
    Sockets,
    Supervisor,
)
from tests.fakes.crew import channels

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


class FakeProcess:
    """A worker that does nothing but talk."""

    def __init__(self, rig: "Rig", number: int) -> None:
        self.number = number
        self.pid = 100 + len(rig.processes)
        self.began = now()
        self.is_buried = False
        self.ignores_the_end = rig.ignores_the_end
        self._theirs, self.ours, self._to_main, _ = channels(ToWorker, ToMain)
        self._to_main.is_held = rig.is_mute
        self._exit: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks = Tasks()
        self._tasks.spawn("talk", self._talk(), is_awaited=True)
        self._tasks.spawn("hear", self._hear(), is_awaited=True)

    async def _talk(self) -> None:
        if not self._to_main.is_held:
            self._theirs.tell(Serving())
        while True:
            await asyncio.sleep(0.5)
            self._theirs.tell(Noted(Told()))

    async def _hear(self) -> None:
        async def answer(message: ToWorker) -> None:
            assert isinstance(message, Leave | Cover)

        await self._theirs.run(answer)
        if not self.ignores_the_end:
            self.end("exited with code 0")

    def fall_silent(self) -> None:
        self._to_main.is_held = True

    async def channel(self) -> Channel[ToMain]:
        return self.ours

    async def ended(self) -> str:
        return await asyncio.shield(self._exit)

    def end(self, how: str) -> None:
        if not self._exit.done():
            self._exit.set_result(how)
            self._to_main.close()

    def kill(self) -> None:
        self.end("killed by SIGKILL")

    def bury(self) -> None:
        assert self._exit.done()
        self.is_buried = True

    async def rest(self) -> None:
        await self._tasks.cancel()


class Rig:
    """A supervisor over fakes; sockets are real, and nobody connects."""

    def __init__(self, size: int = 2) -> None:
        self.crew = Crew(size)
        self.processes: list[FakeProcess] = []
        self.is_mute = False
        """Whether new workers say nothing."""
        self.ignores_the_end = False
        self.failure: OSError | None = None
        """Why no process can be started."""
        address = ("127.0.0.1", 0)
        self.supervisor = Supervisor(address, 30.0, self.crew, self._launch, self._answer)

    def _launch(self, number: int, inherited: Sequence[int]) -> FakeProcess:
        if self.failure is not None:
            raise self.failure
        assert len(inherited) == self.crew.size
        process = FakeProcess(self, number)
        self.processes.append(process)
        return process

    async def _answer(self, worker: Worker, sockets: Sockets, message: ToMain) -> Any:
        if isinstance(message, Serving):
            self.crew.join(worker)
            self.crew.serves(worker)

    async def start(self) -> None:
        await self.supervisor.bind()
        await self.supervisor.start()

    def starts(self, number: int) -> list[float]:
        """When each life in a place began."""
        return [one.began for one in self.processes if one.number == number]

    async def close(self) -> None:
        await self.crew.close()
        await self.supervisor.close()
        assert all(process.is_buried for process in self.processes)
        for process in self.processes:
            await process.rest()


async def test_the_start_waits_until_everybody_answers_queries() -> None:
    rig = Rig(3)
    await rig.start()
    assert [process.number for process in rig.processes] == [1, 2, 3]
    assert rig.crew.serving == rig.crew.size
    assert rig.supervisor.port > 0
    await rig.close()
    assert len(rig.processes) == 3


async def test_the_start_does_not_wait_for_ever() -> None:
    rig = Rig()
    rig.is_mute = True
    await rig.start()
    assert now() == pytest.approx(START_S)
    assert rig.crew.serving == 0
    await rig.close()


async def test_a_worker_that_ends_is_replaced_at_once_and_the_reason_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    await rig.start()
    rig.processes[0].end("killed by SIGKILL")
    await asyncio.sleep(0.1)
    assert [process.number for process in rig.processes] == [1, 2, 1]
    assert rig.crew.serving == rig.crew.size
    assert rig.crew.restarts == 1
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["Worker 1 killed by SIGKILL; another is started"]
    await rig.close()


async def test_a_worker_that_keeps_ending_is_started_ever_less_often() -> None:
    rig = Rig(1)
    await rig.start()
    for _ in range(300):
        rig.processes[-1].end("exited with code 1")
        await asyncio.sleep(0.1)
    delays = [later - earlier for earlier, later in pairwise(rig.starts(1))]
    assert delays[0] < 0.05
    assert max(delays) == pytest.approx(BACKOFF_MAX_S, abs=0.2)
    assert sorted(delays) == pytest.approx(delays, abs=0.11)
    await asyncio.sleep(SETTLED_S + BACKOFF_MAX_S)
    lives = len(rig.processes)
    rig.processes[-1].end("exited with code 1")
    await asyncio.sleep(0.1)
    assert len(rig.processes) == lives + 1, "one that lived long is replaced at once"
    await rig.close()


async def test_where_no_process_can_be_started_it_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(1)
    rig.failure = OSError(11, "Resource temporarily unavailable")
    await rig.start()
    assert rig.processes == []
    assert "Worker 1 could not be started: [Errno 11]" in caplog.text
    rig.failure = None
    await asyncio.sleep(BACKOFF_MAX_S)
    assert rig.crew.serving == rig.crew.size
    await rig.close()


async def test_a_worker_that_is_silent_is_killed_and_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    await rig.start()
    await asyncio.sleep(30)
    rig.processes[1].fall_silent()
    began = now()
    await asyncio.sleep(SILENT_TICKS * TICK_S - 0.1)
    assert len(rig.processes) == 2
    await asyncio.sleep(2 * TICK_S + 0.2)
    assert [process.number for process in rig.processes] == [1, 2, 2]
    assert rig.processes[2].began - began <= (SILENT_TICKS + 1) * TICK_S
    assert "Worker 2 did not answer and was killed; another is started" in caplog.text
    await rig.close()


async def test_a_worker_may_take_longer_to_begin() -> None:
    rig = Rig(1)
    rig.is_mute = True
    await rig.start()
    await asyncio.sleep(STARTING_TICKS * TICK_S - START_S - 1)
    assert len(rig.processes) == 1
    await asyncio.sleep(2)
    assert len(rig.processes) == 2
    await rig.close()


async def test_who_closes_its_channel_and_lives_on_is_killed() -> None:
    rig = Rig(1)
    rig.ignores_the_end = True
    await rig.start()
    rig.processes[0]._to_main.close()
    await asyncio.sleep(EXIT_GRACE_S + 0.1)
    assert len(rig.processes) == 2
    await rig.close()


async def test_what_ends_while_the_daemon_ends_is_not_replaced() -> None:
    rig = Rig()
    await rig.start()
    rig.supervisor.refuse()
    rig.processes[0].end("killed by SIGTERM")
    await asyncio.sleep(60)
    assert len(rig.processes) == 2
    await rig.close()


async def test_at_the_end_who_does_not_go_is_killed() -> None:
    rig = Rig()
    rig.ignores_the_end = True
    await rig.start()
    began = now()
    await rig.close()
    assert now() - began <= 2 * EXIT_GRACE_S


async def test_it_can_be_closed_before_it_was_started() -> None:
    rig = Rig()
    await rig.supervisor.close()
    await rig.supervisor.bind()
    await rig.supervisor.close()
