"""A daemon that serves the residual network, asked about images by wrk, and what it says of it."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from daemon import Daemon, clipperd
from hot_path import wrk_daemon

from clipper.admin.client import ClipperConnection
from clipper.admin.frames import MEDIA_TYPE, frame_of

RESIDUAL = Path(__file__).parent / "models" / "residual.py"
SEED = 7
PATIENT_S = 30.0
"""The SLO of those who ask. Were it the objective, what waits behind a batch that takes as long as
the objective allows would be late, and the daemon would shed it: that is another question."""


@dataclass(frozen=True, slots=True)
class Network:
    """A form of the residual network."""

    side: int
    width: int
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A network that is served."""

    daemon: Daemon
    clipper: ClipperConnection
    frame: Path
    place: int
    """Where in the frame the number is that makes each image another."""

    def ask(self, connections: int, seconds: int) -> dict[str, float]:
        """A closed loop; `requests_per_s` are those that the network answered."""
        arguments = (str(self.frame), MEDIA_TYPE, str(self.place), "/images/predict")
        return wrk_daemon(self.daemon, "body", connections, seconds, *arguments)

    def _replica(self) -> dict[str, Any]:
        model = self.clipper.get_model_info("residual", "1")
        assert model is not None
        state: dict[str, Any] = model["replica_states"][0]
        return state

    def limit(self) -> int:
        """How many images a batch may have now."""
        return int(self._replica()["batch_size_limit"])

    def batch_ms(self, size: float) -> tuple[float, float]:
        """How long a batch of that many takes, and what one of a hundred takes longer than."""
        latency = self._replica()["latency"]
        usual_ms = float(latency["fixed_ms"] + latency["per_query_ms"] * size)
        return usual_ms, usual_ms * float(latency["p99_factor"])


@contextlib.contextmanager
def asked(
    network: Network, folder: Path, objective_s: float, deployment: Mapping[str, Any]
) -> Iterator[Asked]:
    """Serve the network with these arguments of the deployment; the folder is for its files.

    A model's batches are made for the strictest of its applications, so there is one that sets the
    objective, and another one that asks.
    """
    data = folder / "network.json"
    data.write_text(json.dumps(asdict(network)), encoding="utf-8")
    pixels = np.random.default_rng(SEED).bytes(3 * network.side**2)
    frame = frame_of(pixels)
    assert frame is not None
    file = folder / "image.frame"
    file.write_bytes(frame)
    with clipperd("--cache-bytes", "0") as daemon:
        clipper = ClipperConnection(daemon.admin, daemon.query)
        for app, slo_s in (("images", PATIENT_S), ("strict", objective_s)):
            clipper.register_application(app, "bytes", "-1", int(slo_s * 1e6))
        clipper.deploy_model(
            "residual",
            "1",
            "bytes",
            f"{RESIDUAL}:Residual",
            framework="python",
            model_data=str(data),
            **deployment,
        )
        for app in ("images", "strict"):
            clipper.link_model_to_app(app, "residual")
        yield Asked(daemon, clipper, file, len(frame) - len(pixels))
