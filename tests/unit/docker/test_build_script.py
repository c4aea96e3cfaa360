"""How docker/build.sh behaves towards others on its machine; what it builds, images' tests see."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[3]
STUB = """#!/bin/sh
case "$1" in *frameworks.py) echo noop ;; esac
"""


def test_what_lies_where_all_may_write_is_never_written_to(tmp_path: Path) -> None:
    for name in ("docker/build.sh", "docker/program.Dockerfile", "clipper/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(SOURCE / name, tmp_path / name)
    program = tmp_path / "build/containers/cpp/container"
    program.parent.mkdir(parents=True)
    program.touch()
    stubs, shared = tmp_path / "stubs", tmp_path / "shared"
    for folder in (stubs, shared):
        folder.mkdir()
    for name in ("docker", "python3"):
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (shared / f"clipper-images-{os.getuid()}.lock").symlink_to(precious)
    environment = {"PATH": f"{stubs}:{os.environ['PATH']}", "TMPDIR": str(shared)}
    subprocess.run([tmp_path / "docker/build.sh", "cpp"], env=environment, check=True)
    assert precious.read_text() == "mine"
    assert len(list(shared.iterdir())) == 1
    assert (tmp_path / "build/docker/lock").exists()
