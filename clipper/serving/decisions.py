"""The decision log: what changes a policy's state, as lines of JSON, to be replayed with another.

That is each lesson, and, for a policy that watches it, what became of the queries. The lines have
contexts, outputs and labels of users, so that only the daemon's own user may read the file; it is
bounded, by being renamed to `FILE.1` where it gets too large, in the place of the one before.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from clipper.core.clock import utc_now
from clipper.core.types import Application, ModelId
from clipper.selection.policy import Lesson, State, Traffic
from clipper.serving.snapshot import Route

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024 * 1024
"""Of one file; there are two at most."""
PRIVATE = stat.S_IRUSR | stat.S_IWUSR
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Decision(msgspec.Struct, tag_field="kind", tag="lesson"):
    """A line: a policy has learned from feedback."""

    time: float
    """Seconds since 1970, when the feedback came."""
    app: str
    context: str
    """The query's own, also where a policy keeps one state for all."""
    query_id: int
    policy: dict[str, Any]
    """Its name and its parameters."""
    loss: str
    linked: list[str]
    """The model versions that it chose among."""
    asked: list[str]
    shadows: list[str]
    propensity: float
    """How probable it was that just these were asked."""
    outputs: dict[str, msgspec.Raw]
    label: Any
    losses: dict[str, float]


class Watched(msgspec.Struct, tag_field="kind", tag="traffic"):
    """A line: a policy was told what became of the queries since the last time."""

    time: float
    """Seconds since 1970, when it was told."""
    app: str
    policy: dict[str, Any]
    loss: str
    linked: list[str]
    counts: dict[str, Traffic]
    """By model version."""
    verdict: str
    """What the policy has decided by then; empty where it has not, or never does."""


_encode = msgspec.json.Encoder().encode


class DecisionLog:
    """Lines for a file that several processes may append to."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._older = path.with_name(f"{path.name}.1")
        self._most_bytes = most_bytes
        self._lines: list[bytes] = []

    def note(self, route: Route, context: str, query_id: int, lesson: Lesson) -> None:
        """A policy has learned this."""
        app, (models, propensity, shadows) = route.app, lesson.selection
        decision = Decision(
            utc_now(),
            app.name,
            context,
            query_id,
            _policy(app),
            app.loss,
            _names(route.models),
            _names(models),
            _names(shadows),
            propensity,
            {str(model): msgspec.Raw(output.json) for model, output in lesson.outputs.items()},
            lesson.label,
            {str(model): loss for model, loss in lesson.losses.items()},
        )
        self._lines.append(_encode(decision))

    def note_traffic(self, route: Route, traffic: Mapping[ModelId, Traffic], state: State) -> None:
        """A policy has come to this state by what became of queries."""
        app = route.app
        line = Watched(
            utc_now(),
            app.name,
            _policy(app),
            app.loss,
            _names(route.models),
            {str(model): counts for model, counts in traffic.items()},
            getattr(state, "verdict", ""),
        )
        self._lines.append(_encode(line))

    def take(self) -> list[bytes]:
        """Lines that are to be written."""
        lines, self._lines = self._lines, []
        return lines

    def save(self, lines: list[bytes]) -> None:
        """Append them; blocks. Safe to be called from another thread."""
        if not lines:
            return
        try:
            data = b"\n".join([*lines, b""])
            while not self._append(data):
                pass
        except OSError as error:
            log.error(
                "%d decisions are not logged: %s", len(lines), error, extra={"action": "no_log"}
            )

    def _append(self, data: bytes) -> bool:
        """Whether the file that was opened is still the one to write to, and had room."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(self._path, flags, PRIVATE), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two processes must not both rename it
            opened = os.fstat(file.fileno())
            if not self._path.exists() or not os.path.samestat(opened, self._path.stat()):
                return False
            if stat.S_IMODE(opened.st_mode) & OTHERS:  # it was there before, and open to them
                os.fchmod(file.fileno(), PRIVATE)
            if opened.st_size and opened.st_size + len(data) > self._most_bytes:
                self._path.replace(self._older)
                return False
            file.write(data)
        return True


def _names(models: Iterable[ModelId]) -> list[str]:
    return [str(model) for model in models]


def _policy(app: Application) -> dict[str, Any]:
    return {"name": app.policy, **app.policy_params}
