"""`clipper-admin app fit-cascade` and `replay`: policies that are worked out before they serve."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from clipper.admin.cascades import Said, ask_all, check_loss_judges, judge, read_examples
from clipper.admin.commands.applications import Name, parse_policy, unknown
from clipper.admin.errors import InvalidCall
from clipper.admin.progress import progress
from clipper.admin.terminal import AsJson, Session, command


def add_to(app: typer.Typer, applications: typer.Typer) -> None:
    """Register both commands."""
    command(applications, "fit-cascade")(fit_cascade)
    command(app, "replay")(replay)


def fit_cascade(  # noqa: PLR0913 -- an option for each choice
    session: Session,
    name: Name,
    data: Annotated[
        Path,
        typer.Option(help='Held-out examples, JSON lines of {"input": ..., "label": ...}.'),
    ],
    tolerance: Annotated[
        float, typer.Option(help="Of the queries, the share that may be wrong for the cost's sake.")
    ] = 0.005,
    score: Annotated[
        str, typer.Option(help="How unsure an output is: entropy, or top (its best class).")
    ] = "entropy",
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Give the application this cascade as its policy, without asking; nothing is "
            "applied where one model alone is best.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find out whether a cheap model can answer most queries, and a dear one the rest.

    The linked models are asked for all examples. Their outputs have to be probabilities of classes,
    and what is right the application's loss tells. A model costs what one query alone takes, as its
    replicas have measured it. It may turn out that one model alone is best.

    Example: clipper-admin app fit-cascade digits --data held-out.jsonl --tolerance 0.01
    """
    # Here, because numpy takes longer to load than most commands run.
    from clipper.selection import fitting
    from clipper.selection.cascade import SCORES

    if not 0 <= tolerance <= 1:
        raise InvalidCall(
            f"--tolerance {tolerance:g} is out of range.",
            hint="Give a share of the queries from 0 to 1, for example 0.01.",
        )
    application = session.clipper.get_app_info(name)
    if application is None:
        raise unknown(name)
    if len(application["linked_models"]) < 2:
        raise InvalidCall(
            f"Application {name} has {len(application['linked_models'])} models.",
            hint="Link a cheap one and a dear one first.",
        )
    if score not in SCORES:
        raise InvalidCall(
            f"There is no score {score}.", hint=f"Choose one of: {', '.join(SCORES)}."
        )
    check_loss_judges(application["loss"])
    examples = read_examples(data)
    phase = ["begins"]
    with progress(session.err, "Asking the models", lambda: phase[0]):
        said = ask_all(session.clipper, application, examples, lambda text: phase.insert(0, text))
    said.sort(key=lambda one: one.cost_s)
    limit = fitting.right_below(application["loss"])
    levels = [
        _level(one, losses, score, limit)
        for one, losses in zip(said, judge(application, examples, said), strict=True)
    ]
    found = fitting.fit(levels, tolerance)
    policy = {
        "name": "cascade",
        "models": [said[which].model for which in found.levels],
        "thresholds": list(found.thresholds),
        "score": score,
        "tolerance": min(1.0, found.loss + tolerance),
    }
    is_cascade = len(found.levels) > 1
    if as_json:
        alone = [fitting.alone(levels, which)._asdict() for which in range(len(levels))]
        session.show_json(
            {
                "models": [one.model for one in said],
                "alone": alone,
                "found": found._asdict(),
                "policy": policy if is_cascade else None,
                "cost_is": "seconds that one query alone takes, as the replicas have measured it",
            }
        )
    else:
        _show(session, said, levels, found, policy)
    if apply and is_cascade:
        session.clipper.set_selection_policy(name, policy)
        session.say(f"Application {name} has this cascade now.")
    elif apply:
        session.say(f"Nothing was applied: application {name} keeps its policy.")
    elif is_cascade and not as_json:
        session.say("Next: the same with --apply, to have the application use it.")


def _level(said: Said, losses: list[float], score: str, limit: float) -> Any:
    import numpy as np

    from clipper.selection.cascade import SCORES, chances_of
    from clipper.selection.fitting import Level

    chances = [chances_of(output) for output in said.outputs]
    doubts = [float("inf") if one is None else SCORES[score](one) for one in chances]
    return Level(np.array(doubts), np.array(losses), said.cost_s, limit)


def _show(session: Session, said: list[Said], levels: list[Any], found: Any, policy: Any) -> None:
    from clipper.selection import fitting

    rows = [_row(said, fitting.alone(levels, which)) for which in range(len(said))]
    if len(found.levels) > 1:
        rows.append(_row(said, found))
    session.table(("WHO ANSWERS", "ACCURACY", "MS A QUERY", "SHARES"), rows)
    session.say("MS A QUERY is what one query alone takes, as the replicas have measured it.")
    best = fitting.best_alone(levels)
    best_name = said[best.levels[0]].model
    if found.levels == best.levels:
        why = (
            "No cheaper model is sure often enough, and right then."
            if best.levels[0]
            else "It is the cheapest, and none is right more often."
        )
        session.say(f"No cascade: {best_name} alone is the best choice. {why}")
        return
    if len(found.levels) == 1:
        session.say(
            f"No cascade: {said[found.levels[0]].model} alone is within the tolerance of the best, "
            f"{best_name}."
        )
    session.say(
        f"A query costs {best.cost / found.cost:.1f} times less than with {best_name} alone, and "
        f"is wrong more often by at most {max(found.added_error, 0):.2%} (at 95 %, on "
        f"{len(said[0].outputs)} examples)."
    )
    if len(found.levels) > 1:
        session.say(f"The policy: {json.dumps(policy)}")
        session.say(
            f"Its own tolerance is the mean loss on the examples, {found.loss:.4g}, plus what was "
            "allowed: once a cheap model's sure answers surely lose more, the last answers all."
        )


def _row(said: list[Said], fit: Any) -> tuple[object, ...]:
    names = [said[which].model for which in fit.levels]
    return (
        " > ".join(names),
        f"{fit.accuracy:.2%}",
        f"{fit.cost * 1e3:.3f}",
        ", ".join(f"{share:.0%}" for share in fit.shares),
    )


def replay(  # noqa: PLR0913 -- an option for each choice
    session: Session,
    file: Annotated[Path, typer.Argument(help="What clipperd wrote to its --decision-log.")],
    policy: Annotated[
        list[str], typer.Option(help="A policy to play: a name, or JSON with parameters; again.")
    ],
    app: Annotated[str | None, typer.Option(help="Only this application's decisions.")] = None,
    loss: Annotated[
        str | None, typer.Option(help="Judge by this loss; by default the application's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the policies' draws.")] = 0,
    policies_dir: Annotated[
        Path | None, typer.Option(help="Folder of policies of your own, for module:Class.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find out from logged decisions what another policy would have cost.

    Where one model was asked for each decision, only those count that the policy would have taken:
    the loss is that of as many first decisions of its own as the log can tell of. A policy that the
    log tells nothing of has the reason in its row.

    \b
    Example:
      clipper-admin replay decisions.jsonl --app digits --policy exp3 --policy '{"name": "ucb1"}'
    """
    from clipper.admin.decisions import read_decisions
    from clipper.core.errors import InvalidInput
    from clipper.selection import own
    from clipper.selection.losses import check_loss

    if policies_dir is not None:
        own.use(str(policies_dir))
    log = read_decisions(file, app)
    if len(log.files) > 1:
        session.say(f"The log begins in {log.files[0]}, which was read first.")
    chosen_loss = loss or log.loss
    try:
        check_loss(chosen_loss)
        made = [(text, _made(text, chosen_loss, policies_dir)) for text in policy]
    except InvalidInput as error:
        raise InvalidCall(error.message, hint=error.hint) from error
    rows, hints = _played(made, log.events, chosen_loss, seed)
    if as_json:
        session.show_json(rows)
        return
    columns = ("POLICY", "LOSS", "95 % INTERVAL", "DECISIONS", "COUNT AS", "")
    session.table(columns, map(_estimate, rows))
    for hint in hints:
        session.say(f"Next: {hint}")


def _made(text: str, loss: str, folder: Path | None) -> Any:
    """The policy that an option asks for.

    Raises:
        InvalidCall: it is none.
        InvalidInput: there is no such policy, or it does not take these parameters.
    """
    from clipper.selection.policies import make_policy

    asked = parse_policy(text, "--policy")
    params = {} if isinstance(asked, str) else dict(asked)
    name = asked if isinstance(asked, str) else params.pop("name")
    if ":" in name and folder is None:
        raise InvalidCall(
            f"The selection policy '{name}' is in a file, and no folder was given.",
            hint="Add --policies-dir FOLDER to this command.",
        )
    return make_policy(name, params, loss)


def _played(
    policies: list[tuple[str, Any]], events: list[Any], loss: str, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each policy, and what to do about those that cannot be judged.

    Raises:
        InvalidCall: none can.
    """
    from clipper.core.errors import InvalidInput
    from clipper.selection.logged import Logged
    from clipper.selection.replay import evaluate

    unknown: dict[str, Any] = {
        "decisions": sum(isinstance(event, Logged) for event in events),
        "used": 0.0,
        "loss": None,
        "interval": None,
        "doubt": "",
    }
    rows: list[dict[str, Any]] = []
    hints: dict[str, None] = {}
    for text, policy in policies:
        try:
            estimate = evaluate(policy, events, loss, seed)
        except InvalidInput as error:
            rows.append({"policy": text, **unknown, "error": error.message})
            hints[error.hint] = None
        else:
            rows.append({"policy": text, **estimate._asdict(), "error": ""})
    told = [hint for hint in hints if hint]
    if all(row["error"] for row in rows):
        reasons = [f"{row['policy']} cannot be judged: {row['error']}" for row in rows]
        raise InvalidCall(" ".join(reasons), hint=" ".join(told))
    return rows, told


def _estimate(row: dict[str, Any]) -> tuple[object, ...]:
    if row["error"]:
        reason = f"cannot be judged: {row['error']}"
        return row["policy"], "-", "-", row["decisions"], round(row["used"]), reason
    low, high = row["interval"]
    return (
        row["policy"],
        f"{row['loss']:.4f}",
        f"{low:.4f} to {high:.4f}",
        row["decisions"],
        round(row["used"]),
        row["doubt"] and f"doubtful: {row['doubt']}",
    )
