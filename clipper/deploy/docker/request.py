"""What the Docker engine is asked for: a container that gets as little as a model needs.

No user but an unprivileged one, no capability, nothing to write to but /tmp and /dev/shm, which are
memory too, and bounded memory, processes, files and logs. Nothing of the machine is mounted but the
model's own files, read-only. Nothing is published: the daemon comes in by the network.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

PORT = 7000
USER_ID = 10001
LABEL = "ai.clipper"
INSTANCE_LABEL = f"{LABEL}.instance"
"""Whose it is: a daemon finds by it what an earlier one on its data directory has left."""
LAUNCH_LABEL = f"{LABEL}.launch"
"""What was asked for, as `digest` has it."""
REPLICA_LABELS = (f"{LABEL}.model", f"{LABEL}.version", f"{LABEL}.replica")
"""Whose replica a container is: name, version and index."""
BUILT_LABEL = f"{LABEL}.built"
BASE_LABEL = f"{LABEL}.base"
"""Which image a built one was built on."""
"""On an image that was built for one version of a model."""
TOKEN_VARIABLE = "CLIPPER_CONTAINER_TOKEN"
INPUT_TYPE_VARIABLE = "CLIPPER_CONTAINER_INPUT_TYPE"
HOSTNAME = "model"
OOM_SCORE = 500
"""When the machine itself runs out of memory, the model goes rather than the daemon."""
ALL_GPUS = -1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use."""

    memory_bytes: int = 4 << 30
    tmp_bytes: int = 256 << 20
    """Its /tmp, which is memory too: never more than a quarter of that."""
    shm_bytes: int = 64 << 20
    """Its /dev/shm, likewise."""
    processes: int = 512
    files: int = 16_384
    """Open at once, in one process."""
    cpus: float = 0.0
    """Cores; 0 sets no limit."""
    log_bytes: int = 2 << 20

    def in_memory(self, wanted_bytes: int) -> int:
        """So that a file system that is full is no memory that has run out."""
        return min(wanted_bytes, self.memory_bytes // 4)


@dataclass(frozen=True, slots=True)
class Launch:
    """One container to be started."""

    name: str
    image: str
    token: str = field(repr=False)
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    """Files and folders of this machine by their place in the container, all read-only."""
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    gpus: str = ""
    """`0,1`, `all`, or none."""
    network: str = ""
    """One of Docker's that it may reach, beside the one that it is reached by."""


def request(launch: Launch, network: str) -> dict[str, Any]:
    """All that makes the container what it is, but its name, its token and its labels."""
    limits = launch.limits
    tmp_bytes, shm_bytes = map(limits.in_memory, (limits.tmp_bytes, limits.shm_bytes))
    return {
        "environment": dict(launch.environment) | ({} if launch.gpus else _NO_GPUS),
        "mounts": [
            Mount(target, str(source), type="bind", read_only=True)
            for target, source in launch.mounts.items()
        ],
        "device_requests": _gpus(launch.gpus),
        "network": network,
        **({} if launch.network else _NO_DNS),
        "hostname": HOSTNAME,
        "init": True,  # as process 1, a model's server would not heed signals while it loads
        "user": f"{USER_ID}:{USER_ID}",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={tmp_bytes}"},
        "shm_size": shm_bytes,
        "ipc_mode": "private",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,  # the same: no swap
        "oom_score_adj": OOM_SCORE,
        "pids_limit": limits.processes,
        "ulimits": [
            Ulimit(name="nofile", soft=limits.files, hard=limits.files),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "nano_cpus": int(limits.cpus * 1e9),
        "log_config": LogConfig(
            type=LogConfig.types.JSON,
            config={"max-size": str(limits.log_bytes // 2), "max-file": "2"},
        ),
    }


_NO_GPUS = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""Where NVIDIA's runtime is the default one, an image of CUDA's would get them all."""
_NO_DNS = {"dns": ["127.0.0.1"], "dns_opt": ["timeout:1", "attempts:1"]}
"""Its own loopback, where nobody answers: old engines pass questions on out of any network."""


def _gpus(gpus: str) -> list[DeviceRequest]:
    if not gpus:
        return []
    if gpus == "all":
        return [DeviceRequest(count=ALL_GPUS, capabilities=[["gpu"]])]
    return [DeviceRequest(device_ids=gpus.split(","), capabilities=[["gpu"]])]


def digest(launch: Launch, network: str, image_id: str) -> str:
    """The same for two launches that ask for the same container, whatever its name and token.

    And whatever it was told of its input type, which whoever connects finds out: the first replica
    of a model that was to say it itself was told nothing.
    """
    told = {key: value for key, value in launch.environment.items() if key != INPUT_TYPE_VARIABLE}
    wanted = request(replace(launch, environment=told), network)
    asked = [image_id, launch.network, dict(launch.labels), wanted]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
