"""Which wheels are for an image, and what pip is asked for; pip itself is a script here."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from clipper.core.errors import DeployError
from clipper.deploy.docker import wheels
from clipper.deploy.docker.wheels import Platform, unpack

IMAGE = Platform("3.11", "x86_64", 36, {"numpy": "2.4.6"})
PIP = """
import json, pathlib, sys
folder = pathlib.Path({folder!r})
calls = folder / "calls.json"
seen = json.loads(calls.read_text()) if calls.exists() else []
calls.write_text(json.dumps([*seen, sys.argv[1:]]))
answers = json.loads((folder / "answers.json").read_text())
answer = answers[len(seen)]
if answer is None:
    sys.exit(1)
if "--report" in sys.argv:
    found = [{{"metadata": {{"name": name, "version": version}}}} for name, version in answer]
    pathlib.Path(sys.argv[sys.argv.index("--report") + 1]).write_text(
        json.dumps({{"install": found}})
    )
"""


class Pip:
    """Answers in turn: what it resolves, or None where it fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pip.py").write_text(PIP.format(folder=str(folder)))

    def will(self, *answers: Any) -> None:
        (self.folder / "answers.json").write_text(json.dumps(answers))

    def calls(self) -> list[list[str]]:
        found: list[list[str]] = json.loads((self.folder / "calls.json").read_text())
        return found


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    monkeypatch.setattr(wheels, "PIP", (sys.executable, str(tmp_path / "pip.py")))
    return Pip(tmp_path)


def told(**parts: Any) -> bytes:
    known = {
        "python": "3.12",
        "machine": "aarch64",
        "libc": ["glibc", "2.39"],
        "installed": {"Typing_Extensions": "4.1"},
    }
    return json.dumps(known | parts).encode()


def test_an_image_says_what_runs_in_it() -> None:
    assert Platform.parse(told()) == Platform("3.12", "aarch64", 39, {"typing-extensions": "4.1"})


def test_an_image_without_glibc_is_refused_as_no_wheel_would_run_in_it() -> None:
    with pytest.raises(DeployError, match="musl") as refused:
        Platform.parse(told(libc=["musl", "1.2"]))
    assert "Debian" in refused.value.hint


def test_wheels_are_taken_for_the_image_and_the_newest_first() -> None:
    flags = Platform("3.12", "aarch64", 39, {}).flags()
    platforms = [flag for flag in flags if flag.endswith("_aarch64")]
    assert platforms[0] == "manylinux_2_39_aarch64"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(platforms)
    assert "manylinux_2_40_aarch64" not in platforms
    assert flags[flags.index("--python-version") + 1] == "3.12"
    assert [flags[i + 1] for i, flag in enumerate(flags) if flag == "--abi"] == [
        *("cp312", "abi3", "none")
    ]
    assert "--only-binary=:all:" in flags


def test_what_the_image_has_is_not_put_in_again(pip: Pip, tmp_path: Path) -> None:
    pip.will([["pandas", "3.1.1"], ["NumPy", "2.4.6"]], [])
    unpack(["pandas>=2"], tmp_path / "packages", IMAGE)
    resolve, install = pip.calls()
    assert resolve[-2:] == ["--", "pandas>=2"]
    assert install[-2:] == ["--", "pandas==3.1.1"]
    assert install[install.index("--target") + 1] == str(tmp_path / "packages")
    assert "--no-deps" in install


def test_versions_of_the_image_give_way_where_the_requirements_want_others(
    pip: Pip, tmp_path: Path
) -> None:
    pip.will(None, [["numpy", "1.26.4"]], [])
    unpack(["numpy<2"], tmp_path, IMAGE)
    first, second, install = pip.calls()
    assert "--constraint" in first
    assert "--constraint" not in second
    assert install[-1] == "numpy==1.26.4"


def test_nothing_is_unpacked_where_the_image_has_it_all(pip: Pip, tmp_path: Path) -> None:
    pip.will([["numpy", "2.4.6"]])
    unpack(["numpy"], tmp_path, IMAGE)
    assert len(pip.calls()) == 1


def test_what_cannot_be_found_is_named_with_what_it_would_have_to_be_for(
    pip: Pip, tmp_path: Path
) -> None:
    pip.will(None, None)
    with pytest.raises(DeployError, match="no wheels for nowhere") as refused:
        unpack(["nowhere"], tmp_path, IMAGE)
    assert "Python 3.11 on x86_64" in refused.value.hint


def test_a_download_that_breaks_off_is_no_image(pip: Pip, tmp_path: Path) -> None:
    pip.will([["pandas", "3.1.1"]], None)
    with pytest.raises(DeployError, match="could not unpack pandas==3"):
        unpack(["pandas"], tmp_path, IMAGE)
