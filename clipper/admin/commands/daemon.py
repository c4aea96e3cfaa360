"""`clipper-admin status` and `doctor`: how the daemon is, and what to do about it."""

from typing import Any

import typer

from clipper.admin.diagnosis import FAILED, Check, examine
from clipper.admin.progress import deploying
from clipper.admin.terminal import REFUSED, UNREACHABLE, AsJson, Session, command


def add_to(app: typer.Typer) -> None:
    """Register both commands."""
    command(app, "status")(status)
    command(app, "doctor")(doctor)


def status(session: Session, as_json: AsJson = False) -> None:
    """Show the daemon at a glance.

    Example: clipper-admin status --json
    """
    answer = session.clipper.status()
    if as_json:
        session.show_json(answer)
    else:
        session.facts(_facts(session, answer))


def _facts(session: Session, answer: dict[str, Any]) -> list[tuple[str, object]]:
    replicas = ", ".join(f"{count} {state}" for state, count in answer["replicas"].items())
    return [
        ("clipperd", f"{answer['version']}, up for {duration(answer['uptime_s'])}"),
        ("ready", "yes" if answer["ready"] else "no"),
        *(("", reason) for reason in answer["not_ready"]),
        ("store", f"{answer['store']['url']} ({answer['store']['state']})"),
        ("applications", answer["applications"]),
        ("models", answer["models"]),
        ("replicas", replicas.replace("_", " ")),
        *(
            ("deploying", f"{one['model']} ({deploying(one)})")
            for one in session.clipper.get_deployments()
        ),
        ("queries", session.clipper.query.url),
    ]


def duration(seconds: float) -> str:
    """A time for people: the two largest units."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min")]
    shown = [f"{count} {unit}" for count, unit in [*parts, (whole % 60, "s")] if count]
    return " ".join(shown[:2]) or "0 s"


def doctor(session: Session, as_json: AsJson = False) -> None:
    """Look for what is wrong, and say how to mend it.

    Ends with 0 where all is well or only warned of, 3 where the daemon was not reached, else 1.

    Example: clipper-admin doctor
    """
    checks = examine(session.clipper)
    if as_json:
        session.show_json([check.as_dict() for check in checks])
    else:
        for check in checks:
            _print(session, check)
    failed = [check for check in checks if check.outcome == FAILED]
    if failed:
        raise typer.Exit(UNREACHABLE if any(one.unreachable for one in failed) else REFUSED)


def _print(session: Session, check: Check) -> None:
    first, *others = check.detail.split("\n")
    session.answer(f"{check.outcome:<8}{check.name}: {first}")
    for line in others:
        session.answer(f"        {line}")
    if check.fix:
        session.answer(f"        -> {check.fix}")
