"""A line on the terminal while replicas start: what is going on, and for how long."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from clipper.admin.client import ClipperConnection
from clipper.admin.errors import AdminError
from clipper.core.escapes import one_line

POLL_S = 0.5
LINE_CHARS = 60
"""Of what was written last; the spinner has one line."""
JOIN_S = 1.0
"""How long a slow answer may delay the end of the line."""


@contextmanager
def progress(console: Console, title: str, describe: Callable[[], str]) -> Iterator[None]:
    """Show `describe()` until the block ends; says nothing where nobody looks."""
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(POLL_S):
                try:
                    bar.update(task, description=f"{title}: {describe()}")
                except AdminError:  # what is shown is a courtesy; the call itself will tell
                    continue

        thread = threading.Thread(target=follow, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=JOIN_S)


def deployment_phase(clipper: ClipperConnection, model: str) -> str:
    """The phase in which the deployment of `name:version` is, and what was written last."""
    found = next((one for one in clipper.get_deployments() if one["model"] == model), None)
    if found is None:
        return "waiting for the daemon"
    line = escape(one_line(found["last_line"].strip())[:LINE_CHARS])
    return f"{found['phase']} [dim]{line}[/dim]" if line else str(found["phase"])


def deploying(deployment: Mapping[str, Any]) -> str:
    """Its phase, and for how long it has been going on."""
    return f"{deployment['phase']}, for {deployment['elapsed_s']:.0f} s"


def replicas_ready(clipper: ClipperConnection, name: str, version: str) -> str:
    """How many replicas of a version are ready."""
    model = clipper.get_model_info(name, version)
    if model is None:
        return "deleted"
    return f"{model['replicas']['ready']} of {model['replicas']['wanted']} replicas are ready"
