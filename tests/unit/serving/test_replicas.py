"""Keeping a replica alive: one life after another, each reason told, no batch lost at the end."""

import asyncio
from collections.abc import Mapping
from itertools import pairwise

import pytest

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.errors import DeployError, ReplicaFailed
from clipper.core.metrics import Metrics
from clipper.core.tasks import Tasks
from clipper.core.types import Deployment, Input, InputType, Model, ModelId, ReplicaId
from clipper.deploy.manager import Container, ContainerSpec
from clipper.serving.replicas import (
    BACKOFF_MAX_S,
    BACKOFF_READY_MAX_S,
    BACKOFF_S,
    EXIT_GRACE_S,
    LAST_BATCH_S,
    SETTLED_S,
    Keeper,
)
from tests.fakes.callers import Caller
from tests.fakes.containers import SERVES, FakeContainer, FakeManager, Script
from tests.fakes.replica import FakeReplica, Replicas

pytestmark = pytest.mark.looptime

MODEL = ModelId("m", "1")
PATH = "/models/m"
TIMEOUT_S = 60.0


class Rig:
    """One keeper over a manager without containers; made inside the loop of a test."""

    def __init__(self, *, missing: bool = False) -> None:
        metrics = Metrics()
        cache = PredictionCache(1 << 20, metrics.cache)
        layer = ModelAbstractionLayer(cache, Limits(batch_timeout_s=TIMEOUT_S), metrics)
        self.served = layer.add(Model(MODEL, InputType.STRINGS))
        self.script: dict[str, Script] = {PATH: SERVES}
        self.manager = FakeManager(self.script, [PATH] if missing else [])
        self.replicas = Replicas()
        self.behaviour = self.replicas.behaviour(MODEL)
        self.starts: list[float] = []
        """When each life began."""
        self.start_takes_s = 0.0
        self.tasks = Tasks()
        self.keeper = self.keep()

    def keep(self) -> Keeper:
        """A keeper that does not run yet."""
        spec = ContainerSpec(ReplicaId(MODEL, 0), InputType.STRINGS, Deployment("fake", "x", PATH))
        return Keeper(spec, self.served, self._start, self.replicas.connect)

    async def _start(self, spec: ContainerSpec) -> Container:
        self.starts.append(now())
        await asyncio.sleep(self.start_takes_s)
        return await self.manager.start(spec)

    async def run(self, keeper: Keeper | None = None) -> "asyncio.Task[None]":
        """Run the keeper, and wait a little."""
        await self.manager.open()
        running = self.tasks.spawn("keep", (keeper or self.keeper).run(), is_awaited=True)
        await asyncio.sleep(0.01)
        return running

    @property
    def container(self) -> FakeContainer:
        """The newest."""
        return self.manager.started[-1]

    @property
    def life(self) -> FakeReplica:
        """The newest."""
        return self.replicas.lives[-1]

    @property
    def states(self) -> Mapping[int, str]:
        """As the metrics have them."""
        return self.served.stats.states

    def ask(self, data: bytes = b"1") -> Caller:
        """A query with plenty of time."""
        caller = Caller()
        self.served.predict(Input(data), now() + 1e6, caller)
        return caller


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_it_starts_a_container_connects_and_serves() -> None:
    rig = Rig()
    rig.behaviour.loading_s = 5.0
    assert rig.keeper.state == "starting"
    await rig.run()
    assert (rig.keeper.state, rig.served.live) == ("starting", 0)
    await asyncio.sleep(5)
    assert (rig.keeper.state, rig.served.live) == ("ready", 1)
    assert rig.keeper.first_ready.done()
    caller = rig.ask()
    await asyncio.sleep(1)
    assert caller.value == 1
    await rig.tasks.cancel()


async def test_its_status_says_how_it_is() -> None:
    rig = Rig()
    await rig.run()
    status = rig.keeper.status()
    assert (status.state, status.identity, status.restarts) == ("ready", "fake 1", 0)
    assert status.last_exit == ""
    assert status.figures is not None
    assert status.figures.limit == 1
    assert str(status.replica) == "m:1#0"
    await rig.tasks.cancel()


async def test_a_container_that_exits_is_started_again_and_the_reason_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.script[PATH] = Script(("Serving", "Out of luck"))
    await rig.run()
    rig.container.end(-9, "killed by SIGKILL")
    await asyncio.sleep(0.01)
    assert (rig.keeper.state, rig.served.live) == ("backing_off", 0)
    reason = "m:1#0 killed by SIGKILL; its last lines:\n  Serving\n  Out of luck"
    status = rig.keeper.status()
    assert (status.last_exit, status.restarts, status.identity) == (reason, 1, "")
    assert [record.getMessage() for record in caplog.records] == [f"{reason}; it is started again"]
    await asyncio.sleep(BACKOFF_S)
    assert (rig.keeper.state, rig.served.live) == ("ready", 1)
    assert len(rig.manager.started) == 2
    assert rig.served.stats.restarts == 1
    await rig.tasks.cancel()


async def test_a_replica_that_keeps_ending_is_started_ever_less_often() -> None:
    rig = Rig()
    rig.script[PATH] = Script(exits_with=1)
    await rig.run()
    await asyncio.sleep(200)
    delays = [later - earlier for earlier, later in pairwise(rig.starts)]
    assert delays[:8] == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, BACKOFF_MAX_S])
    assert max(delays) == pytest.approx(BACKOFF_MAX_S)
    await rig.tasks.cancel()


async def test_a_replica_that_lived_long_is_started_again_soon() -> None:
    rig = Rig()
    rig.script[PATH] = Script(exits_with=1)
    await rig.run()
    await asyncio.sleep(10)
    rig.script[PATH] = SERVES
    await asyncio.sleep(10 + SETTLED_S)
    assert rig.keeper.state == "ready"
    rig.container.end(1, "exited with code 1")
    await asyncio.sleep(BACKOFF_S + 0.02)
    assert rig.keeper.state == "ready"
    await rig.tasks.cancel()


async def test_a_replica_that_was_ready_comes_back_soon_however_often_it_dies() -> None:
    rig = Rig()
    await rig.run()
    for _ in range(10):
        lives = len(rig.starts)
        rig.container.end(-9, "killed by SIGKILL")
        await asyncio.sleep(BACKOFF_READY_MAX_S + 0.1)
        assert len(rig.starts) == lives + 1
        assert rig.keeper.state == "ready"
    await rig.tasks.cancel()


async def test_a_batch_whose_container_dies_is_answered_by_the_next_life() -> None:
    rig = Rig()
    rig.behaviour.fixed_s = 1.0
    await rig.run()
    caller = rig.ask()
    await asyncio.sleep(0.5)
    rig.container.end(-11, "killed by SIGSEGV")
    await asyncio.sleep(5)
    assert caller.value == 1
    assert [life.batches for life in rig.replicas.lives] == [[[b"1"]], [[b"1"]]]
    await rig.tasks.cancel()


async def test_a_connection_that_breaks_amid_a_batch_ends_the_life() -> None:
    rig = Rig()
    rig.behaviour.lethal = {b"1"}
    await rig.run()
    caller = rig.ask()
    await asyncio.sleep(EXIT_GRACE_S + 0.1)
    assert rig.keeper.last_exit == "m:1#0 broke off its stream."
    assert not rig.container.is_running, "what cannot be reached is not left running"
    await asyncio.sleep(5)
    assert isinstance(caller.outcome, ReplicaFailed)
    await rig.tasks.cancel()


async def test_a_connection_that_breaks_while_nothing_is_asked_ends_the_life() -> None:
    rig = Rig()
    await rig.run()
    rig.life.break_off()
    await asyncio.sleep(EXIT_GRACE_S + BACKOFF_S + 0.1)
    assert len(rig.manager.started) == 2
    assert (rig.keeper.state, rig.served.live) == ("ready", 1)
    await rig.tasks.cancel()


async def test_the_exit_code_says_more_than_the_broken_connection_a_moment_before() -> None:
    rig = Rig()
    await rig.run()
    rig.life.break_off()
    await asyncio.sleep(EXIT_GRACE_S / 2)
    rig.container.end(None, "ran out of memory")
    await asyncio.sleep(0.01)
    assert rig.keeper.last_exit.startswith("m:1#0 ran out of memory")
    await rig.tasks.cancel()


async def test_a_replica_that_hangs_is_replaced_and_its_batch_tried_again() -> None:
    rig = Rig()
    rig.behaviour.hangs = True
    await rig.run()
    caller = rig.ask()
    await asyncio.sleep(1)
    rig.behaviour.hangs = False
    await asyncio.sleep(TIMEOUT_S + 2)
    assert caller.value == 1
    assert "did not answer a batch of 1" in rig.keeper.last_exit
    assert not rig.manager.started[0].is_running
    await rig.tasks.cancel()


async def test_who_deploys_learns_why_the_first_life_did_not_get_ready() -> None:
    rig = Rig()
    rig.script[PATH] = Script(("Loading", "no such module"), exits_with=1)
    await rig.run()
    with pytest.raises(DeployError) as failure:
        await rig.keeper.first_ready
    reason = "m:1#0 exited with code 1; its last lines:\n  Loading\n  no such module"
    assert failure.value.message == reason
    await rig.tasks.cancel()


async def test_who_deploys_learns_why_no_container_could_be_started() -> None:
    rig = Rig(missing=True)
    await rig.run()
    with pytest.raises(DeployError, match="'/models/m' cannot be found") as failure:
        await rig.keeper.first_ready
    assert failure.value.hint == "Check the path."
    await rig.tasks.cancel()


async def test_a_container_that_exits_while_it_loads_does_not_wait_for_the_connection() -> None:
    rig = Rig()
    rig.behaviour.loading_s = 3600.0
    await rig.run()
    rig.container.end(3, "exited with code 3")
    with pytest.raises(DeployError, match="exited with code 3"):
        await rig.keeper.first_ready
    assert now() < 1
    await rig.tasks.cancel()


@pytest.mark.parametrize(
    "error", [ReplicaFailed("m:1#0 takes floats"), ValueError("floats"), asyncio.CancelledError()]
)
async def test_a_connection_that_cannot_be_made_ends_the_life_whatever_it_raises(
    error: BaseException,
) -> None:
    class Broken(FakeReplica):
        async def connect(self) -> None:
            raise error

    rig = Rig()
    spec = ContainerSpec(ReplicaId(MODEL, 0), InputType.STRINGS, Deployment("fake", "x", PATH))
    keeper = Keeper(spec, rig.served, rig.manager.start, lambda *_: Broken())
    await rig.run(keeper)
    await asyncio.sleep(5)
    with pytest.raises(DeployError, match="m:1#0"):
        await keeper.first_ready
    assert keeper.restarts > 1
    assert not any(container.is_running for container in rig.manager.started[:-1])
    await rig.tasks.cancel()


async def test_a_stop_ends_the_container_and_then_the_keeper() -> None:
    rig = Rig()
    running = await rig.run()
    rig.keeper.stop()
    rig.keeper.stop()
    assert rig.keeper.state == "stopping"
    await running
    assert not rig.container.is_running
    assert not rig.life.is_connected
    assert rig.served.live == 0
    assert rig.states == {}


async def test_a_stop_waits_for_the_batch_in_hand() -> None:
    rig = Rig()
    rig.behaviour.fixed_s = 1.0
    running = await rig.run()
    in_hand = rig.ask(b"1")
    await asyncio.sleep(0.5)
    queued = rig.ask(b"2")
    rig.keeper.stop()
    await running
    assert in_hand.value == 1
    assert queued.told == []
    assert rig.life.batches == [[b"1"]]


async def test_a_stop_does_not_wait_for_a_batch_for_ever() -> None:
    rig = Rig()
    rig.behaviour.hangs = True
    running = await rig.run()
    caller = rig.ask()
    await asyncio.sleep(0.5)
    rig.keeper.stop()
    started = now()
    await running
    assert now() - started <= LAST_BATCH_S + 0.1
    assert caller.told == [], "another replica may still answer it"
    assert not rig.container.is_running


async def test_a_stop_before_anything_began_starts_nothing() -> None:
    rig = Rig()
    rig.keeper.stop()
    await (await rig.run())
    assert rig.starts == []
    with pytest.raises(DeployError, match="m:1#0 was stopped"):
        await rig.keeper.first_ready


async def test_a_stop_while_a_container_is_started_does_not_wait_for_it() -> None:
    rig = Rig()
    rig.start_takes_s = 1200.0  # its packages are being installed
    running = await rig.run()
    rig.keeper.stop()
    await running
    assert now() == pytest.approx(0, abs=0.1)
    await asyncio.sleep(1200)
    assert rig.manager.started == []
    with pytest.raises(DeployError, match="was stopped"):
        await rig.keeper.first_ready


async def test_a_stop_while_the_model_loads_does_not_wait_for_it() -> None:
    rig = Rig()
    rig.behaviour.loading_s = 3600.0
    running = await rig.run()
    rig.keeper.stop()
    await running
    assert now() < 1
    assert not rig.container.is_running


async def test_a_stop_while_it_backs_off_ends_it_at_once() -> None:
    rig = Rig()
    rig.script[PATH] = Script(exits_with=1)
    running = await rig.run()
    await asyncio.sleep(100)
    assert rig.keeper.state == "backing_off"
    rig.keeper.stop()
    started, starts = now(), len(rig.starts)
    await running
    assert now() - started < 0.01
    assert len(rig.starts) == starts


async def test_a_stop_and_readiness_in_the_same_moment_leave_it_stopping() -> None:
    rig = Rig()
    rig.behaviour.loading_s = 5.0
    running = await rig.run()
    asyncio.get_running_loop().call_later(5.0, rig.keeper.stop)
    states = []
    while not running.done():
        states.append(rig.keeper.state)
        await asyncio.sleep(0.5)
    assert states[-1] in ("starting", "stopping")
    assert rig.states == {}
    assert rig.served.live == 0


async def test_a_successor_may_begin_while_the_last_batch_is_in_hand() -> None:
    rig = Rig()
    rig.behaviour.fixed_s = 1.0
    ending = await rig.run()
    caller = rig.ask()
    await asyncio.sleep(0.5)
    rig.keeper.stop()
    successor = rig.keep()
    await rig.run(successor)
    await ending
    assert caller.value == 1
    assert rig.states == {0: "ready"}
    assert successor.state == "ready"
    assert rig.served.live == 1
    successor.stop()
    await asyncio.sleep(1)
    assert rig.states == {}


async def test_a_life_that_is_cancelled_leaves_no_container_behind() -> None:
    rig = Rig()
    await rig.run()
    await rig.tasks.cancel()
    assert not rig.container.is_running
    assert rig.served.live == 0
