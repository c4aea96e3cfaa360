"""A decision log, as `clipper-admin replay` reads it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clipper.admin.errors import InvalidCall
from clipper.core.outputs import output_of
from clipper.core.types import ModelId, model_id
from clipper.selection.logged import By, Logged, Watched
from clipper.selection.policy import Selection, Traffic


class Decisions(NamedTuple):
    """What an application's log has, in its order."""

    events: list[Logged | Watched]
    loss: str
    """By which the application judges, or did last."""
    files: list[Path]
    """What was read, the older one first."""


def read_decisions(file: Path, app: str | None) -> Decisions:
    """The decisions of an application, or of the only one there is.

    Where the daemon has renamed a full file to `FILE.1`, they begin there.

    Raises:
        InvalidCall: no such file, no such decisions, or a line that is none.
    """
    older = file.with_name(f"{file.name}.1")
    files = [older, file] if older.exists() else [file]
    events: list[Logged | Watched] = []
    apps: dict[str, str] = {}
    judged: set[str] = set()
    for one in files:
        for number, line in enumerate(_lines(one), 1):
            if not line:
                continue
            try:
                row = json.loads(line)
                if row["kind"] != "traffic":
                    judged.add(row["app"])
                if app in (None, row["app"]):
                    apps[row["app"]] = row["loss"]
                    events.append(_event(row))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InvalidCall(
                    f"Line {number} of {one} is no decision.",
                    hint="Name what clipperd wrote to its --decision-log.",
                ) from None
    if len(apps) > 1:
        raise InvalidCall(
            f"{file} has decisions of several applications.",
            hint=f"Choose one: --app {' or --app '.join(sorted(apps))}.",
        )
    if not any(isinstance(event, Logged) for event in events):
        has = f"It has those of {', '.join(sorted(judged))}." if judged else ""
        raise InvalidCall(
            f"{file} has no decisions of {app or 'any application'}.",
            hint=has or "A decision is logged once its feedback has come.",
        )
    return Decisions(events, apps[next(iter(apps))], files)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCall(f"{file} cannot be read: {error}.", hint="Name a decision log.") from None


def _event(row: dict[str, Any]) -> Logged | Watched:
    """A line."""
    params = dict(row["policy"])
    by = By(params.pop("name"), json.dumps(params, sort_keys=True), row["loss"])
    if row["kind"] == "traffic":
        counts = msgspec.convert(row["counts"], dict[str, Traffic])
        return Watched(
            _models(row["linked"]), {model_id(name): counts[name] for name in counts}, by
        )
    selection = Selection(_models(row["asked"]), float(row["propensity"]), _models(row["shadows"]))
    if not (selection.models and 0 < selection.propensity <= 1):
        raise ValueError
    return Logged(
        str(row["context"]),
        _models(row["linked"]),
        selection,
        {model_id(name): output_of(value) for name, value in row["outputs"].items()},
        row["label"],
        {model_id(name): float(value) for name, value in row["losses"].items()},
        by,
    )


def _models(names: list[str]) -> tuple[ModelId, ...]:
    return tuple(map(model_id, names))
