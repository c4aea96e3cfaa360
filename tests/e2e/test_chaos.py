"""All sorts of harm at random, from a seed; in the end a good answer, and accounts that add up."""

import json
import os
import random
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from clipper.admin.client import ClipperConnection, ClipperRefused
from tests.fakes.clipperd import MODELS, Clipperd, clipperd
from tests.fakes.load import Load, load
from tests.fakes.watching import until
from tests.fakes.workers import worker_pids

SEED = 1706
CHAOS_S = 10.0
PATIENT_US = 2_000_000


class Chaos:
    """One who does harm, a little each time; what was done is noted."""

    def __init__(self, daemon: Clipperd, clipper: ClipperConnection, chance: random.Random) -> None:
        self.done: list[str] = []
        self.left = 0
        """Queries whose callers did not wait for the answer."""
        self._daemon = daemon
        self._clipper = clipper
        self._chance = chance
        self._versions = ["1"]

    def act(self) -> None:
        """Do one thing."""
        acts = {
            self.leave: 6,
            self.send_garbage: 6,
            self.tell_lies: 3,
            self.kill: 2,
            self.deploy: 1,
            self.deploy_broken: 1,
            self.roll: 2,
            self.delete: 1,
            self.scale: 2,
            self.relink: 1,
        }
        (act,) = self._chance.choices(list(acts), list(acts.values()))
        self.done.append(act.__name__)
        act()

    def _request(self, app: str, body: Any) -> bytes:
        content = json.dumps(body).encode()
        return (
            f"POST /{app}/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content

    def _send(self, data: bytes, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(data)
            time.sleep(self._chance.random() * 0.01)

    def leave(self) -> None:
        for _ in range(self._chance.randint(1, 20)):
            input = {"do": "sleep", "for_s": self._chance.random() * 0.02, "number": self.left}
            self._send(self._request("plain", {"input": input}), self._daemon.query_port)
            self.left += 1

    def send_garbage(self) -> None:
        request = bytearray(self._request("garbage", {"input_batch": [1, [2, None], "x"]}))
        for _ in range(self._chance.randint(1, 8)):
            request[self._chance.randrange(len(request))] = self._chance.randrange(256)
        port = self._chance.choice((self._daemon.query_port, self._daemon.admin_port))
        self._send(bytes(request), port)

    def tell_lies(self) -> None:
        self._daemon.call(
            "POST", "/wise/feedback", json={"query_id": self._chance.randrange(5000), "label": 0}
        )

    def kill(self) -> None:
        processes = self._daemon.note_processes() - {self._daemon.pid}
        replicas = [pid for pid in processes if b"clipper_container" in command_line(pid)]
        if replicas:
            os.kill(self._chance.choice(replicas), signal.SIGKILL)

    def deploy(self) -> None:
        version = f"v{len(self.done)}"
        path = f"{MODELS}:Troublemaker"
        self._clipper.deploy_model("echo", version, "json", path, framework="python")
        self._versions.append(version)

    def deploy_broken(self) -> None:
        path = f"{MODELS}:RaisesInInit"
        with pytest.raises(ClipperRefused) as refusal:
            self._clipper.deploy_model("echo", "broken", "json", path, framework="python")
        assert refusal.value.code == "deploy_failed"

    def roll(self) -> None:
        self._clipper.set_model_version("echo", self._chance.choice(self._versions))

    def delete(self) -> None:
        if len(self._versions) > 1:
            version = self._versions.pop(self._chance.randrange(len(self._versions)))
            self._clipper.stop_versioned_models({"echo": [version]})

    def scale(self) -> None:
        version = self._chance.choice(self._versions)
        self._clipper.set_num_replicas("echo", self._chance.randint(1, 3), version, timeout_s=0)

    def relink(self) -> None:
        self._clipper.unlink_model_from_app("wise", "liar")
        self._clipper.link_model_to_app("wise", "liar")


def command_line(pid: int) -> bytes:
    """Of a process, if it is still there."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def set_up(clipper: ClipperConnection) -> None:
    for name, policy in {"plain": "single", "garbage": "single", "wise": "exp3"}.items():
        clipper.register_application(name, "json", "0", PATIENT_US, selection_policy=policy)
    for name, cls in {"echo": "Troublemaker", "liar": "Liar"}.items():
        clipper.deploy_model(name, 1, "json", f"{MODELS}:{cls}", framework="python", num_replicas=2)
        clipper.link_model_to_app("wise", name)
    clipper.link_model_to_app("plain", "echo")


def check_accounts(daemon: Clipperd, app: str, seen: Load, left: int) -> None:
    """Every query came to one end, and is counted there."""
    asked = len(seen.answers) + left
    until(lambda: sum(daemon.outcomes(app).values()) >= asked, 5, "the end of every query")
    counted, kinds = daemon.outcomes(app), seen.kinds()
    assert sum(counted.values()) == asked
    assert kinds["model"] <= counted["answered"] <= kinds["model"] + left
    assert counted.get("cancelled", 0) <= left
    assert (seen.broken, seen.refused) == (0, 0)
    assert kinds.keys() <= {"model", "default"}
    assert max(answer.took_s for answer in seen.answers) < PATIENT_US / 1e6 + 1


@pytest.mark.parametrize("workers", [1, 2], ids=["alone", "two workers"])
def test_after_all_sorts_of_harm_the_accounts_add_up_and_queries_are_answered(
    tmp_path: Path, workers: int
) -> None:
    with clipperd(tmp_path, workers=workers) as daemon, daemon.connect() as clipper:
        set_up(clipper)
        chaos = Chaos(daemon, clipper, random.Random(SEED))
        began = time.monotonic()
        with (
            load(daemon.query_port, "plain", 4) as plain,
            load(daemon.query_port, "wise", 2) as wise,
        ):
            while time.monotonic() - began < CHAOS_S:
                chaos.act()
        until(daemon.is_ready, 20, f"recovery from {chaos.done}")
        answer = clipper.predict("plain", ["good", SEED])
        assert (answer.output, answer.is_default) == (["good", SEED], False), chaos.done
        check_accounts(daemon, "plain", plain, chaos.left + 1)
        check_accounts(daemon, "wise", wise, 0)
        models = clipper.get_all_models(verbose=True)
        wanted = sum(model["replicas"]["wanted"] for model in models)
        others = 2 + len(worker_pids(daemon))
        until(
            lambda: len(daemon.note_processes()) == others + wanted, 20, "all replicas, no others"
        )
        assert "\nTraceback" not in daemon.log.read_text()
