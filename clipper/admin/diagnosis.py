"""What `clipper-admin doctor` looks at: each check says what is so, and what to do if it is wrong.

A check never raises; what cannot be looked at is itself the finding.
"""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipper.admin.client import ClipperConnection
from clipper.admin.errors import AdminError, ClipperUnreachable
from clipper.admin.listener import Listener
from clipper.admin.messages import request

OK, WARNING, FAILED = "ok", "warning", "failed"
FLOOR = (3, 11)
LOW_DISK_BYTES = 1 << 30
FULL_DISK_BYTES = 50 << 20
DOCKER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    outcome: str
    """OK, WARNING or FAILED."""
    detail: str
    """A complaint a line."""
    fix: str = ""
    """What to do; empty where all is well."""
    unreachable: bool = False
    """Whether the finding is that the daemon does not answer."""

    def as_dict(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self)


def examine(clipper: ClipperConnection) -> list[Check]:
    """All checks, of this machine first and then of the daemon."""
    checks = [python_version(sys.version_info[:3]), containers(), docker_engine()]
    checks += [listener("admin listener", clipper.admin), listener("query listener", clipper.query)]
    return checks + reported(clipper.status)


def python_version(version: tuple[int, ...]) -> Check:
    """Is this Python new enough?"""
    text = ".".join(map(str, version))
    if version[:2] >= FLOOR:
        return Check("python", OK, text)
    return Check("python", FAILED, f"{text} is too old", "Use Python 3.11 or newer.")


def containers() -> Check:
    """Can process replicas be started from this environment?"""
    if importlib.util.find_spec("clipper_container") is not None:
        return Check("model containers", OK, "clipper_container is installed")
    return Check(
        "model containers",
        WARNING,
        "clipper_container is not installed here",
        "Replicas of manager process need it in the daemon's environment: "
        "pip install clipper-container.",
    )


def docker_engine() -> Check:
    """Does a Docker engine answer? Only replicas of manager docker need one."""
    program = shutil.which("docker")
    fix = "Only --manager docker needs it: install Docker and start its engine."
    if program is None:
        return Check("docker", WARNING, "there is no docker command", fix)
    asked = [program, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(
            asked, capture_output=True, text=True, timeout=DOCKER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return Check("docker", WARNING, "the engine does not answer", fix)
    if answer.returncode == 0 and answer.stdout.strip():
        return Check("docker", OK, f"engine {answer.stdout.strip()}")
    cause = answer.stderr.strip().partition("\n")[0] or "the engine does not answer"
    return Check("docker", WARNING, cause, fix)


def listener(name: str, of: Listener) -> Check:
    """Does clipperd answer on this address?"""
    try:
        of.call(request("GET", "health", "live"))
    except AdminError as error:
        lost = isinstance(error, ClipperUnreachable)
        return Check(name, FAILED, error.message, error.hint, unreachable=lost)
    return Check(name, OK, of.url)


def reported(ask: Callable[[], dict[str, Any]]) -> list[Check]:
    """What the daemon says of itself; nothing where it does not answer."""
    try:
        status = ask()
    except ClipperUnreachable:
        return []  # the listener's check has said so
    except AdminError as error:
        return [Check("daemon", FAILED, error.message, error.hint)]
    checks = [readiness(status), store(status), replicas(status), policies(status)]
    folder = store_folder(status["store"]["url"])
    return checks + ([] if folder is None else [disk(folder)])


def policies(status: dict[str, Any]) -> Check:
    """Do the applications' selection policies what they are for?"""
    if not status.get("troubles"):
        return Check("policies", OK, "all can be used")
    return Check(
        "policies",
        WARNING,
        "\n".join(status["troubles"]),
        "Deploy and link what is missing, or choose another: clipper-admin app set-policy.",
    )


def readiness(status: dict[str, Any]) -> Check:
    """Can it answer queries?"""
    if status["ready"]:
        return Check("ready", OK, f"clipperd {status['version']}")
    reasons = "\n".join(status["not_ready"]) or "no reason given"
    return Check(
        "ready", FAILED, reasons, "See clipper-admin model list, and the logs of what is missing."
    )


def store(status: dict[str, Any]) -> Check:
    """Is the store usable?"""
    url, state = status["store"]["url"], status["store"]["state"]
    if state == "ok":
        return Check("store", OK, url)
    return Check(
        "store",
        FAILED,
        f"{url} is {state}",
        "What is served goes on from memory, but nothing can be changed: bring the store back; "
        "clipperd's log says what it met.",
    )


def replicas(status: dict[str, Any]) -> Check:
    """Do the replicas that should run, run?"""
    counts = status["replicas"]
    text = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
    if not counts.get("backing_off"):
        return Check("replicas", OK, text)
    return Check(
        "replicas", WARNING, text, "Read why they end: clipper-admin model logs NAME VERSION."
    )


def store_folder(url: str) -> Path | None:
    """The folder of a store that is a file on this machine."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme != "sqlite":
        return None
    folder = Path("/" + rest.partition("?")[0].lstrip("/")).parent
    return folder if folder.is_dir() else None


def disk(folder: Path) -> Check:
    """Is there room for the store to grow?"""
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free >= LOW_DISK_BYTES:
        return Check("disk", OK, detail)
    outcome = FAILED if free < FULL_DISK_BYTES else WARNING
    return Check("disk", outcome, detail, "Free some space, or move data_dir to a larger disk.")
