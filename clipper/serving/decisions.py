"""The decision log: each lesson of each policy as a line of JSON, to be replayed with another."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from clipper.core.clock import utc_now
from clipper.core.types import ModelId
from clipper.selection.policy import Lesson
from clipper.serving.snapshot import Route

log = logging.getLogger(__name__)


class Decision(msgspec.Struct):
    """One line."""

    time: float
    """Seconds since 1970, when the feedback came."""
    app: str
    context: str
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


_encode = msgspec.json.Encoder().encode


class DecisionLog:
    """Lines for a file that several processes may append to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []

    def note(self, route: Route, context: str, query_id: int, lesson: Lesson) -> None:
        """A policy has learned this."""
        app, (models, propensity, shadows) = route.app, lesson.selection
        decision = Decision(
            utc_now(),
            app.name,
            context,
            query_id,
            {"name": app.policy, **app.policy_params},
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

    def take(self) -> list[bytes]:
        """Lines that are to be written."""
        lines, self._lines = self._lines, []
        return lines

    def save(self, lines: list[bytes]) -> None:
        """Append them; blocks. Safe to be called from another thread."""
        if not lines:
            return
        try:
            with self._path.open("ab") as file:
                file.write(b"\n".join([*lines, b""]))
        except OSError as error:
            log.error(
                "%d decisions are not logged: %s", len(lines), error, extra={"action": "no_log"}
            )


def _names(models: Iterable[ModelId]) -> list[str]:
    return [str(model) for model in models]
