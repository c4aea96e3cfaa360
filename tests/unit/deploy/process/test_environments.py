"""Environments by a builder that installs nothing: shared, whole or not there, and thrown away."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from clipper.core.errors import DeployError
from clipper.core.tasks import Tasks
from clipper.deploy.logs import Log, LogFile
from clipper.deploy.process.environments import Environments
from tests.fakes.watching import eventually

ABI = "cpython-311-x86_64-linux-gnu"


class Builds:
    """Makes what looks like an environment when the test lets it; counts, fails and is ended."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, ...]] = []
        self.ended = 0
        self.error: DeployError | None = None
        self.output: Log
        """Of the newest."""
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def build(self, folder: Path, requirements: Sequence[str], file: Log) -> None:
        """As Builder's."""
        self.begun.append(tuple(requirements))
        self.output = file
        file.append(b"Collecting " + requirements[0].encode() + b"\n")
        try:
            (folder / "bin").mkdir()
            await self.goes_on.wait()
            if self.error:
                raise self.error
            (folder / "bin" / "python").write_text("#!/bin/sh\n")
            (folder / "bin" / "python").chmod(0o755)
            file.append(b"Successfully installed\n")
        finally:
            self.ended += 1


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "environments"
        self.logs = folder / "logs"
        self.builds = Builds()
        self.environments = self.reopened()
        self.tasks = Tasks()

    def reopened(self, abi: str = ABI) -> Environments:
        """As the next daemon sees them."""
        return Environments(self.folder, abi, self.builds.build)

    def log(self, name: str = "0") -> LogFile:
        return LogFile(self.logs / name)

    async def get(self, *requirements: str, log: str = "0") -> Path:
        return await self.environments.get(requirements, self.log(log))

    def asks(self, *requirements: str, log: str = "0") -> "asyncio.Task[Path]":
        return self.tasks.spawn("get", self.get(*requirements, log=log), is_awaited=True)

    async def begun(self, count: int = 1) -> None:
        """Wait until so many builds have begun."""
        assert await eventually(lambda: len(self.builds.begun) >= count, 10)

    async def wait(self, *logs: str) -> None:
        """Wait until those who have these logs wait for the newest build."""

        def hear() -> bool:
            self.builds.output.append(b"Still at it\n")
            return all(self.log(log).tail(1) == ["Still at it"] for log in logs)

        assert await eventually(hear, 10)

    @property
    def entries(self) -> list[str]:
        return sorted(entry.name for entry in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_an_environment_is_built_once_whoever_asks_in_whatever_order(bench: Bench) -> None:
    first = await bench.get("numpy", "scipy")
    assert await bench.get("scipy", "numpy") == first
    assert await bench.reopened().get(["numpy", "scipy"], bench.log()) == first
    assert bench.builds.begun == [("numpy", "scipy")]


async def test_other_requirements_and_another_interpreter_have_environments_of_their_own(
    bench: Bench,
) -> None:
    first, second = await bench.get("numpy"), await bench.get("numpy>=2")
    third = await bench.reopened("cpython-312-x86_64-linux-gnu").get(["numpy"], bench.log())
    assert len({first, second, third}) == 3


async def test_those_who_wait_for_the_same_share_a_build_and_each_has_its_output(
    bench: Bench,
) -> None:
    bench.builds.goes_on.clear()
    one = bench.asks("numpy", log="one")
    await bench.begun()
    other = bench.asks("numpy", log="other")
    await bench.wait("one", "other")
    bench.builds.goes_on.set()
    assert await one == await other
    assert len(bench.builds.begun) == 1
    first, *rest = bench.log("one").tail(1000)
    assert first.startswith("Installing numpy")
    assert (rest[0], rest[-1]) == ("Collecting numpy", "Successfully installed")
    assert bench.log("other").tail(1000)[0] == first
    assert bench.log("other").tail(1) == ["Successfully installed"]
    assert LogFile(await one / "build.log").tail(1000) == rest


async def test_a_build_that_fails_is_told_to_all_and_leaves_nothing_and_may_be_tried_again(
    bench: Bench,
) -> None:
    bench.builds.goes_on.clear()
    bench.builds.error = DeployError("no such package")
    asking = [bench.asks("numpi", log=str(number)) for number in range(3)]
    await bench.begun()
    await bench.wait("0", "1", "2")
    bench.builds.goes_on.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(result) for result in results] == ["no such package"] * 3
    assert bench.entries == []
    bench.builds.error = None
    assert (await bench.get("numpi")).is_dir()
    assert len(bench.builds.begun) == 2


async def test_one_that_gives_up_hurts_no_other_and_the_last_takes_the_build_along(
    bench: Bench,
) -> None:
    bench.builds.goes_on.clear()
    one, other = bench.asks("numpy"), bench.asks("numpy", log="1")
    await bench.begun()
    await bench.wait("0", "1")
    one.cancel()
    await asyncio.wait([one])
    assert bench.builds.ended == 0
    other.cancel()
    await asyncio.wait([other])
    assert bench.builds.ended == 1, "before the last one is told"
    assert bench.entries == []


async def test_after_a_build_was_given_up_another_can_begin(bench: Bench) -> None:
    bench.builds.goes_on.clear()
    one = bench.asks("numpy")
    await bench.begun()
    one.cancel()
    other = bench.asks("numpy")
    await bench.begun(2)
    bench.builds.goes_on.set()
    assert (await other / "bin" / "python").exists()


async def test_what_a_killed_build_left_looks_like_nothing_and_goes(bench: Bench) -> None:
    whole = await bench.get("numpy")
    half = bench.folder / f"{bench.environments.digest(['scipy'])}.abc"
    half.mkdir()
    (bench.folder / "gone").symlink_to("nowhere")
    environments = bench.reopened()
    await environments.sweep()
    assert not half.exists()
    assert await environments.get(["numpy"], bench.log()) == whole
    await environments.get(["scipy"], bench.log())
    assert bench.builds.begun == [("numpy",), ("scipy",)]


async def test_one_whose_interpreter_is_gone_is_built_anew(bench: Bench) -> None:
    old = await bench.get("numpy")
    (old / "bin" / "python").unlink()
    (old / "bin" / "python").symlink_to("/no/python")
    new = await bench.get("numpy")
    assert new != old
    await bench.environments.sweep()
    assert not old.exists()
    assert await bench.get("numpy") == new


async def test_what_nobody_needs_goes_and_what_is_needed_used_or_built_stays(
    bench: Bench,
) -> None:
    needed, used, idle = await bench.get("a"), await bench.get("b"), await bench.get("c")
    bench.builds.goes_on.clear()
    coming = bench.asks("d")
    await bench.begun(4)
    await bench.environments.keep([bench.environments.digest(["a"])], [used])
    assert (needed.exists(), used.exists(), idle.exists()) == (True, True, False)
    bench.builds.goes_on.set()
    assert (await coming).exists()
    assert await bench.get("a") == needed
    assert await bench.get("c") != idle, "it is built again when it is asked for again"


async def test_one_in_use_that_nobody_needs_goes_when_it_is_used_no_more(bench: Bench) -> None:
    used = await bench.get("a")
    await bench.environments.keep([], [used])
    assert used.exists()
    await bench.environments.keep([], [])
    assert bench.entries == []


async def test_closing_ends_builds_and_tells_who_waits(bench: Bench) -> None:
    bench.builds.goes_on.clear()
    asking = bench.asks("numpy")
    await bench.begun()
    await bench.environments.close()
    with pytest.raises(DeployError, match="closed"):
        await asking
    assert bench.entries == []


async def test_a_place_that_cannot_be_written_is_named(bench: Bench) -> None:
    bench.folder.write_text("a file")
    with pytest.raises(DeployError, match=str(bench.folder)) as refused:
        await bench.get("numpy")
    assert refused.value.hint


async def test_a_folder_that_is_a_link_to_another_disk_keeps_what_is_needed_or_used(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    bench = Bench(tmp_path)
    bench.folder.symlink_to(disk)
    bench.environments = bench.reopened()
    needed, used, idle = await bench.get("a"), await bench.get("b"), await bench.get("c")
    await bench.environments.keep({bench.environments.digest(["a"])}, {used})
    await bench.environments.sweep({used})
    assert (needed.exists(), used.exists(), idle.exists()) == (True, True, False)
