"""Models that bring packages, deployed to a real daemon whose pip has no index."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.clipperd import clipperd, descendants
from tests.fakes.watching import until
from tests.fakes.wheels import pack_installed, write_source, write_wheel

MODEL = """
from greeting import WORD
from clipper_container import ModelContainer

class Greets(ModelContainer):
    def predict_batch(self, inputs):
        return [f"{WORD} {text}" for text in inputs]
"""
HANGS = """
import time

def get_requires_for_build_wheel(config_settings=None):
    time.sleep(3600)
"""


def commands(pid: int) -> str:
    """The command lines of a daemon's children and theirs."""
    return "\n".join(
        Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in descendants(pid)
    )


def test_a_model_with_packages_is_served_and_one_that_waits_too_long_for_them_leaves_no_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack_installed(tmp_path, "grpcio", "numpy", "protobuf")
    write_wheel(tmp_path, "greeting", "1.0", "WORD = 'hello'")
    write_source(tmp_path, "hanging", HANGS)
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with clipperd(tmp_path, store="memory://") as daemon:

        def deploy(version: str, requirement: str, timeout_s: float) -> httpx.Response:
            path = f"{tmp_path}/model.py:Greets"
            deployment = {"framework": "python", "path": path, "requirements": [requirement]}
            body: dict[str, Any] = {"name": "m", "version": version, "input_type": "strings"}
            body |= {"deployment": deployment, "timeout_s": timeout_s}
            return httpx.post(f"{daemon.url}/api/v1/models", json=body, timeout=120)

        assert deploy("1", "greeting", 90).status_code == 201
        with daemon.connect() as clipper:
            clipper.register_application("a", "strings", "?", 1_000_000)
            clipper.link_model_to_app("a", "m")
            assert clipper.predict("a", "Ann").output == "hello Ann"

        late = deploy("2", "hanging", 6).json()["error"]
        assert late["code"] == "deploy_failed"
        assert "was not ready within 6 s" in late["message"]
        assert "hanging-1.0.tar.gz" in late["message"], "pip's lines say what it waited for"
        until(lambda: "pip" not in commands(daemon.pid), 5)
