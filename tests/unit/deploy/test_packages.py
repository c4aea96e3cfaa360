"""Packages: whole or not there, by what they contain, and gone when nobody needs them."""

import asyncio
import contextlib
import hashlib
import io
import os
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from clipper.core.errors import Incompatible, InvalidInput, UnknownPackage
from clipper.core.types import Deployment
from clipper.deploy.packages import KEPT_S, SPARE_BYTES, Packages


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path / "packages")


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def zipped(**files: bytes) -> tuple[str, bytes]:
    """The digest and the bytes of an archive; `__` in a name stands for a slash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return hashlib.sha256(buffer.getvalue()).hexdigest(), buffer.getvalue()


async def test_a_model_that_is_sent_in_parts_is_there_as_it_was(packages: Packages) -> None:
    digest, archive = zipped(model__weights=b"w" * 5000, model__config=b"c")
    for offset in range(0, len(archive), 1000):
        assert await packages.size(digest) == offset
        await packages.append(digest, offset, archive[offset : offset + 1000])
    model = await packages.unpack(digest)
    assert model.name == "model"
    assert (model / "weights").read_bytes() == b"w" * 5000
    assert await packages.unpack(digest) == model


async def test_containers_of_another_user_can_read_it(packages: Packages) -> None:
    digest, archive = zipped(model__deep__file=b"x")
    await packages.append(digest, 0, archive)
    model = await packages.unpack(digest)
    assert stat.S_IMODE((model / "deep").stat().st_mode) == 0o755
    assert stat.S_IMODE((model / "deep" / "file").stat().st_mode) == 0o644


async def test_a_part_that_does_not_follow_the_last_is_refused(packages: Packages) -> None:
    digest, archive = zipped(m=b"x")
    await packages.append(digest, 0, archive[:10])
    for offset in (0, 11):
        with pytest.raises(Incompatible, match="10 bytes are there"):
            await packages.append(digest, offset, archive[10:])
    await packages.append(digest, 10, archive[10:])
    assert (await packages.unpack(digest)).read_bytes() == b"x"


async def test_what_is_not_there_or_not_whole_is_not_unpacked(packages: Packages) -> None:
    digest, archive = zipped(m=b"x")
    with pytest.raises(UnknownPackage):
        await packages.unpack(digest)
    await packages.append(digest, 0, archive[:-1])
    with pytest.raises(UnknownPackage, match="another SHA-256"):
        await packages.unpack(digest)
    assert await packages.size(digest) == 0


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "0" * 63, "0" * 64 + "\n"])
async def test_only_a_digest_names_a_package(packages: Packages, digest: str) -> None:
    with pytest.raises(InvalidInput, match="no package"):
        await packages.append(digest, 0, b"x")


@pytest.mark.parametrize(
    "names",
    [
        ("..__..__out",),
        ("__etc__passwd",),
        ("..",),
        ("a", "a__b"),
        ("a" * 300,),
        ("x__" * 9 + "..",),
    ],
)
async def test_odd_names_are_refused_and_nothing_is_left_of_them(
    packages: Packages, tmp_path: Path, names: tuple[str, ...]
) -> None:
    digest, archive = zipped(**dict.fromkeys(names, b"x"))
    for _ in range(2):
        await packages.append(digest, 0, archive)
        with pytest.raises(InvalidInput, match="odd names"):
            await packages.unpack(digest)
    assert listed(tmp_path / "packages") == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("place", range(30, 400, 5))
async def test_an_archive_that_was_damaged_is_refused(packages: Packages, place: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/\xe4", bytes(range(256)))
    damaged = bytearray(buffer.getvalue())
    damaged[place % len(damaged)] ^= 0xFF
    digest = hashlib.sha256(damaged).hexdigest()
    await packages.append(digest, 0, bytes(damaged))
    with contextlib.suppress(InvalidInput):
        await packages.unpack(digest)


async def test_what_would_fill_the_disk_is_refused(
    packages: Packages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, archive = zipped(m=bytes(1000))
    await packages.append(digest, 0, archive)
    usage = shutil.disk_usage(tmp_path)._replace(free=SPARE_BYTES + 999)
    monkeypatch.setattr("clipper.deploy.packages.shutil.disk_usage", lambda _: usage)
    with pytest.raises(InvalidInput, match="256 MiB are free"):
        await packages.unpack(digest)
    with pytest.raises(InvalidInput, match="are free"):
        await packages.append(digest, 0, bytes(1000))


async def test_two_parts_at_once_of_one_archive_do_not_mix(packages: Packages) -> None:
    digest, archive = zipped(m=b"x")
    sends = [packages.append(digest, 0, archive) for _ in range(20)]
    done = await asyncio.gather(*sends, return_exceptions=True)
    assert sum(isinstance(one, Incompatible) for one in done) == 19
    assert (await packages.unpack(digest)).read_bytes() == b"x"


async def test_a_package_that_is_asked_for_again_is_new_again(packages: Packages) -> None:
    digest, archive = zipped(m=b"x")
    await packages.append(digest, 0, archive)
    model = await packages.unpack(digest)
    os.utime(model.parent, (0, 0))
    await packages.unpack(digest)
    await packages.forget(list)
    assert model.exists()


async def test_what_is_needed_is_asked_when_something_is_to_go(packages: Packages) -> None:
    models = []
    for name in (b"a", b"b"):
        digest, archive = zipped(m=name)
        await packages.append(digest, 0, archive)
        models.append(await packages.unpack(digest))
        os.utime(models[-1].parent, (0, 0))
    asked = 0

    def needed() -> list[Deployment]:
        nonlocal asked
        asked += 1  # the second is deployed while the first is being removed
        return [Deployment("process", "sklearn", str(one)) for one in models] if asked > 1 else []

    await packages.forget(needed)
    assert sorted(model.exists() for model in models) == [False, True]


@pytest.mark.parametrize("files", [{}, {"a": b"", "b": b""}])
async def test_a_package_holds_one_model(packages: Packages, files: dict[str, bytes]) -> None:
    digest, archive = zipped(**files)
    await packages.append(digest, 0, archive)
    with pytest.raises(InvalidInput):
        await packages.unpack(digest)
    assert await packages.size(digest) == 0


async def test_what_is_no_archive_is_refused(packages: Packages, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"no zip").hexdigest()
    await packages.append(digest, 0, b"no zip")
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        await packages.unpack(digest)
    assert listed(tmp_path / "packages") == []


async def test_what_no_version_is_served_from_goes_in_the_end(
    packages: Packages, tmp_path: Path
) -> None:
    paths = {}
    for name in ("used", "old", "new"):
        digest, archive = zipped(m=name.encode())
        await packages.append(digest, 0, archive)
        paths[name] = await packages.unpack(digest)
    long_ago = paths["used"].stat().st_mtime - KEPT_S - 60
    for name in ("used", "old"):
        os.utime(paths[name].parent, (long_ago, long_ago))
    await packages.forget(lambda: [Deployment("process", "sklearn", str(paths["used"]))])
    assert [name for name, path in paths.items() if path.exists()] == ["used", "new"]


async def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    packages = Packages(tmp_path / "file" / "packages")
    with pytest.raises(InvalidInput, match="cannot be stored"):
        await packages.append("0" * 64, 0, b"x")
