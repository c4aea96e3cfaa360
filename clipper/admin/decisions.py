"""A decision log, as `clipper-admin replay` reads it."""

import json
from pathlib import Path
from typing import Any

from clipper.admin.errors import InvalidCall
from clipper.core.outputs import output_of
from clipper.core.types import model_id
from clipper.selection.policy import Selection
from clipper.selection.replay import Logged


def read_decisions(file: Path, app: str | None) -> tuple[list[Logged], str]:
    """The decisions of an application, or of the only one there is, and its loss.

    Raises:
        InvalidCall: no such file, no such decisions, or a line that is none.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCall(f"{file} cannot be read: {error}.", hint="Name a decision log.") from None
    decisions: list[Logged] = []
    apps: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if app in (None, row["app"]):
                apps[row["app"]] = row["loss"]
                decisions.append(_logged(row))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidCall(
                f"Line {number} of {file} is no decision.",
                hint="Name what clipperd wrote to its --decision-log.",
            ) from None
    if len(apps) > 1:
        raise InvalidCall(
            f"{file} has decisions of several applications.",
            hint=f"Choose one: --app {' or --app '.join(sorted(apps))}.",
        )
    if not decisions:
        raise InvalidCall(f"{file} has no decisions of {app or 'any application'}.", hint="")
    return decisions, apps[next(iter(apps))]


def _logged(row: dict[str, Any]) -> Logged:
    linked, asked, shadows = (
        tuple(map(model_id, row[key])) for key in ("linked", "asked", "shadows")
    )
    return Logged(
        str(row["context"]),
        linked,
        Selection(asked, float(row["propensity"]), shadows),
        {model_id(name): output_of(value) for name, value in row["outputs"].items()},
        row["label"],
        {model_id(name): float(value) for name, value in row["losses"].items()},
    )
