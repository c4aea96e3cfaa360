"""Process replicas against real processes, signals and pipes."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import uvloop

from clipper.core.errors import DeployError
from clipper.core.types import Input, InputType, ModelId, ReplicaId
from clipper.deploy.logs import CAP_BYTES, CHUNK_BYTES, RATE_BYTES_S, LogFile, log_path
from clipper.deploy.manager import Container, ContainerSpec
from clipper.deploy.process.fence import OPEN_FILES
from clipper.deploy.process.manager import ProcessManager
from clipper.rpc.replica import GrpcReplica
from tests.fakes.watching import eventually, is_alive, printed, started

Spec = Callable[..., ContainerSpec]
Daemon = Callable[..., "subprocess.Popen[str]"]
GONE_WITHIN_S = 10


def pid_of(container: Container) -> int:
    return int(container.identity.removeprefix("pid "))


def reapers(daemon: int) -> list[int]:
    """The reaper processes of a daemon."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == daemon and b"reaper.py" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def bytes_written(pid: int) -> int:
    counters = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in counters if line.startswith("wchar"))


def status_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().splitlines()


async def forked_by(log: Path) -> list[int]:
    """The pids that the model `Forks` tells of."""

    async def lines() -> list[str]:
        return LogFile(log).tail(1000)

    return [int(line.split()[1]) for line in await printed(lines, "child", 2)]


async def test_a_model_answers_over_its_socket(processes: ProcessManager, spec: Spec) -> None:
    container = await processes.start(spec("Serves"))
    replica = GrpcReplica(container.replica, InputType.FLOATS, container.address, container.token)
    async with asyncio.timeout(30):
        await replica.connect()
        outcome = await replica.predict([Input(bytes(12)), Input(bytes(4))])
    assert [output.value for output in outcome.outputs] == [3, 1]
    await replica.close()


async def test_whoever_tidies_up_temporary_files_keeps_no_model_from_starting(
    processes: ProcessManager, spec: Spec
) -> None:
    before = await processes.start(spec("Serves"))
    folder = Path(before.address.removeprefix("unix:")).parent
    await before.stop(5)
    shutil.rmtree(folder)
    container = await processes.start(spec("Serves"))
    socket = Path(container.address.removeprefix("unix:"))
    assert await eventually(socket.exists, 30)
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    await container.stop(5)


async def test_the_socket_is_in_a_folder_of_our_own_and_goes_with_the_process(
    processes: ProcessManager, spec: Spec
) -> None:
    container = await processes.start(spec("Serves"))
    socket = Path(container.address.removeprefix("unix:"))
    assert await eventually(socket.exists, 30)
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    os.kill(pid_of(container), signal.SIGKILL)
    await container.wait()
    assert await eventually(lambda: not socket.exists(), 0)
    await processes.close()
    assert await eventually(lambda: not socket.parent.exists(), 0)


async def test_a_model_inherits_nothing_from_the_daemon(
    processes: ProcessManager, spec: Spec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIPPER_ADMIN_TOKEN", "top secret")
    with (tmp_path / "a file of the daemon").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        container = await processes.start(spec("ShowsItself", data=str(tmp_path)))
        logs = partial(processes.logs, container.replica, 1000)
        await printed(logs, "Serving")
    lines = await logs()
    assert f"model_data {tmp_path}" in lines
    assert not [line for line in lines if "secret" in line or container.token in line]
    assert "variable OMP_NUM_THREADS 1" in lines
    # Its standard streams, and the descriptor that lists the folder.
    assert "open files ['0', '1', '2', '3']" in lines
    assert os.getsid(pid_of(container)) == pid_of(container)
    assert resource.prlimit(pid_of(container), resource.RLIMIT_CORE) == (0, 0)


async def test_a_replica_has_the_gpus_whose_turn_it_is(
    processes: ProcessManager, spec: Spec
) -> None:
    made = spec("ShowsItself", index=1)
    made = replace(made, deployment=replace(made.deployment, gpus=("0", "2,3")))
    container = await processes.start(made)
    assert await printed(
        partial(processes.logs, container.replica, 1000), "variable CUDA_VISIBLE_DEVICES 2,3"
    )


async def test_a_model_runs_behind_the_fence(processes: ProcessManager, spec: Spec) -> None:
    made = spec("Serves")
    made = replace(made, deployment=replace(made.deployment, memory_bytes=1 << 30))
    container = await processes.start(made)
    await printed(partial(processes.logs, container.replica, 1000), "Serving")
    pid = pid_of(container)
    assert resource.prlimit(pid, resource.RLIMIT_DATA) == (1 << 30, 1 << 30)
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[1] <= OPEN_FILES
    assert "NoNewPrivs:\t1" in status_of(pid)


async def test_a_model_that_takes_more_memory_than_it_may_ends_and_says_so(
    processes: ProcessManager, spec: Spec
) -> None:
    made = spec("EatsMemory")
    made = replace(made, deployment=replace(made.deployment, memory_bytes=300 << 20))
    async with asyncio.timeout(30):
        end = await (await processes.start(made)).wait()
    assert end.reason == "ran out of memory, of which it may use 300 MiB"
    assert "MemoryError" in end.lines


async def test_a_model_cannot_raise_its_limits(processes: ProcessManager, spec: Spec) -> None:
    made = spec("RaisesLimits")
    made = replace(made, deployment=replace(made.deployment, memory_bytes=300 << 20))
    container = await processes.start(made)
    logs = partial(processes.logs, container.replica, 1000)
    assert len(await printed(logs, "refused", 3)) == 3


async def test_options_of_docker_are_refused(processes: ProcessManager, spec: Spec) -> None:
    made = spec("Serves")
    made = replace(made, deployment=replace(made.deployment, network="lan", cpus=2.0))
    with pytest.raises(DeployError, match="network, cpus") as refused:
        await processes.start(made)
    assert "docker" in refused.value.hint


async def test_a_stopped_process_is_killed_after_the_grace(
    processes: ProcessManager, spec: Spec
) -> None:
    container = await processes.start(spec("Serves"))
    await printed(partial(processes.logs, container.replica, 1000), "Serving")
    os.kill(pid_of(container), signal.SIGSTOP)
    await container.stop(0.2)
    assert (await container.wait()).reason == "killed by SIGKILL"


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
async def test_what_a_model_forked_ends_with_it(
    processes: ProcessManager, spec: Spec, tmp_path: Path, death: signal.Signals
) -> None:
    container = await processes.start(spec("Forks"))
    forked = await forked_by(log_path(tmp_path / "data", container.replica))
    assert all(map(is_alive, forked))
    os.kill(pid_of(container), death)
    async with asyncio.timeout(10):
        await container.wait()
    assert await eventually(lambda: not any(map(is_alive, forked)), 1)


async def test_a_model_that_prints_without_end_hurts_only_itself(
    processes: ProcessManager, spec: Spec, tmp_path: Path
) -> None:
    container = await processes.start(spec("Prints"))
    path = log_path(tmp_path / "data", container.replica)
    loop = asyncio.get_running_loop()
    worst_s, seconds = 0.0, 4
    until = loop.time() + seconds
    while loop.time() < until:
        before = loop.time()
        await asyncio.sleep(0.01)
        worst_s = max(worst_s, loop.time() - before - 0.01)
    assert worst_s < 0.5
    assert bytes_written(pid_of(container)) < 2 * seconds * RATE_BYTES_S
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    assert CAP_BYTES < size < 2 * (CAP_BYTES + CHUNK_BYTES)
    assert is_alive(pid_of(container))
    changed = path.stat().st_mtime_ns
    assert await eventually(lambda: path.stat().st_mtime_ns != changed, 5)
    await container.stop(0.1)
    assert (await container.wait()).lines[-1].strip("x") == ""


@pytest.mark.parametrize("whole_group", [False, True], ids=["alone", "with its group"])
async def test_nothing_outlives_a_daemon_that_is_killed(
    daemon: Daemon, tmp_path: Path, whole_group: bool
) -> None:
    process = daemon("process", "Forks", "Serves", "IgnoresSigterm", "Prints")
    containers = started(process, 4)
    forked = await forked_by(log_path(tmp_path / "data", ReplicaId(ModelId("m", "1"), 0)))
    pids = [int(pid) for _, pid in containers] + forked
    runtime_dir = Path(containers[0][0].removeprefix("unix:")).parent
    assert all(map(is_alive, pids))
    assert runtime_dir.is_dir()
    for pid in (*forked, pids[1]):
        os.kill(pid, signal.SIGSTOP)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    assert await eventually(lambda: not any(map(is_alive, pids)), GONE_WITHIN_S)
    assert await eventually(lambda: not runtime_dir.exists(), 1)


async def test_a_reaper_that_is_killed_is_replaced_and_knows_what_to_end(daemon: Daemon) -> None:
    process = daemon("process", "Serves")
    pid = int(started(process, 1)[0][1])
    (first,) = reapers(process.pid)
    os.kill(first, signal.SIGKILL)
    assert await eventually(lambda: len(set(reapers(process.pid)) - {first}) == 1, 10)
    os.kill(process.pid, signal.SIGKILL)
    assert await eventually(lambda: not is_alive(pid), GONE_WITHIN_S)


async def test_the_next_start_ends_what_daemon_and_reaper_left(
    daemon: Daemon, tmp_path: Path
) -> None:
    process = daemon("process", "Serves")
    ((address, pid),) = started(process, 1)
    (reaper,) = reapers(process.pid)
    os.kill(process.pid, signal.SIGSTOP)  # it shall not start another
    os.kill(reaper, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert is_alive(int(pid))
    manager = ProcessManager(tmp_path / "data")
    await manager.open()
    assert not is_alive(int(pid))
    assert not Path(address.removeprefix("unix:")).parent.exists()
    await manager.close()


async def test_two_daemons_cannot_share_a_data_directory(
    processes: ProcessManager, tmp_path: Path
) -> None:
    second = ProcessManager(tmp_path / "data")
    with pytest.raises(DeployError, match="another daemon") as refused:
        await second.open()
    assert "--data-dir" in refused.value.hint


async def test_without_file_descriptors_a_start_fails_cleanly(
    processes: ProcessManager, spec: Spec
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use, hard))
    try:
        with pytest.raises(DeployError, match="Too many open files") as refused:
            await processes.start(spec("Serves", index=1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.hint
    container = await processes.start(spec("Serves", index=1))
    await container.stop(5)


def test_it_works_on_the_event_loop_of_the_daemon(tmp_path: Path, spec: Spec) -> None:
    async def live() -> None:
        manager = ProcessManager(tmp_path / "data")
        await manager.open()
        dead, stopped = await manager.start(spec("Exits")), await manager.start(spec("Serves"))
        async with asyncio.timeout(30):
            assert (await dead.wait()).code == 3
            await stopped.stop(5)
            await manager.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


async def test_an_interpreter_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="/no/python"):
        await ProcessManager(tmp_path / "data", "/no/python").open()
