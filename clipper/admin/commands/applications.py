"""`clipper-admin app`: applications and the models they ask."""

import json
from typing import Annotated, Any

import typer

from clipper.admin.errors import ClipperRefused, InvalidCall
from clipper.admin.terminal import AsJson, Session, Yes, command, parse_json

app = typer.Typer(no_args_is_help=True, help="Applications: named endpoints that answer queries.")

Name = Annotated[str, typer.Argument(help="The application.", show_default=False)]
Model = Annotated[str, typer.Argument(help="The model, by name.", show_default=False)]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        "--selection-policy",
        help="Who answers: single, exp3, epsilon_greedy, ucb1, thompson, exp4, linear, majority, "
        "static, ab, canary, shadow, cascade, or module:Class; "
        'JSON where it has parameters: {"name": "exp3", "eta": 0.1}.',
    ),
]


@command(app, "create")
def create(  # noqa: PLR0913 -- an option for each setting
    session: Session,
    name: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    input_type: Annotated[
        str, typer.Option(help="integers, floats, doubles, strings, bytes or json.")
    ],
    slo_ms: Annotated[float, typer.Option(help="Answer within so many milliseconds.")] = 100.0,
    default_output: Annotated[
        str, typer.Option(help="The answer when no model answers in time.")
    ] = "",
    policy: Policy = "single",
    loss: Annotated[
        str | None,
        typer.Option(help="How feedback is judged: zero_one, absolute, squared, log or given."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help='What labels mean to the loss, as JSON: {"spam": 1, "ham": 0}.'),
    ] = None,
    on_overload: Annotated[
        str | None, typer.Option(help="default: answer with the default output; reject: 429.")
    ] = None,
    confidence_threshold: Annotated[
        float | None,
        typer.Option(help="Where the models agree less, from 0 to 1, the default output answers."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an application.

    Example: clipper-admin app create digits --input-type floats --slo-ms 20 --default-output -1
    """
    chosen: Any = parse_json(policy, "--policy") if policy.startswith("{") else policy
    answer = session.clipper.register_application(
        name,
        input_type,
        default_output,
        _micros(slo_ms),
        selection_policy=chosen,
        loss=loss,
        labels=None if labels is None else parse_json(labels, "--labels"),
        on_overload=on_overload,
        confidence_threshold=confidence_threshold,
    )
    if as_json:
        session.show_json(answer)
    else:
        session.say(f"Created application {name}.")
        session.say(f"Next: clipper-admin app link {name} MODEL")


def _micros(slo_ms: float) -> int:
    if not 0 < slo_ms < 2**31 / 1000:
        raise InvalidCall(
            f"--slo-ms {slo_ms:g} is out of range.", hint="Give milliseconds, for example 20."
        )
    return round(slo_ms * 1000)


@command(app, "list")
def list_(session: Session, as_json: AsJson = False) -> None:
    """List the applications.

    Example: clipper-admin app list --json
    """
    applications = session.clipper.get_all_apps(verbose=True)
    if as_json:
        session.show_json(applications)
    elif not applications:
        session.say("No applications. Next: clipper-admin app create NAME --input-type TYPE")
    else:
        columns = ("NAME", "INPUT", "SLO MS", "POLICY", "MODELS", "DEFAULT OUTPUT")
        session.table(columns, map(_row, applications))


def _row(application: dict[str, Any]) -> tuple[object, ...]:
    return (
        application["name"],
        application["input_type"],
        _slo(application),
        application["selection_policy"]["name"],
        ", ".join(application["linked_models"]) or "-",
        application["default_output"],
    )


def _slo(application: dict[str, Any]) -> str:
    return f"{application['latency_slo_micros'] / 1000:g}"


@command(app, "show")
def show(
    session: Session,
    name: Name,
    context: Annotated[
        str | None, typer.Option(help="Add what was learned for this context (0: for none).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show an application's settings and links.

    Example: clipper-admin app show digits --context user-17
    """
    application = session.clipper.get_app_info(name)
    if application is None:
        raise unknown(name)
    if context is not None:
        learned = session.clipper.get_selection_state(name, context)
        application["selection"] = {"context": context, "state": learned["state"]}
    if as_json:
        session.show_json(application)
        return
    session.facts(_facts(application))


def _facts(application: dict[str, Any]) -> list[tuple[str, object]]:
    policy = application["selection_policy"]
    facts = [
        ("name", application["name"]),
        ("input type", application["input_type"]),
        ("SLO", f"{_slo(application)} ms"),
        ("default output", application["default_output"]),
        ("models", ", ".join(application["linked_models"]) or "none"),
        ("policy", policy["name"] if len(policy) == 1 else json.dumps(policy)),
        ("loss", application["loss"]),
        ("on overload", application["on_overload"]),
        ("confidence threshold", f"{application['confidence_threshold']:g}"),
    ]
    if "selection" in application:
        selection = application["selection"]
        facts.append((f"learned for {selection['context']}", json.dumps(selection["state"])))
    return facts


def unknown(name: str) -> ClipperRefused:
    """There is no such application."""
    return ClipperRefused(
        f"There is no application {name!r}.",
        code="unknown_application",
        hint="See the applications there are: clipper-admin app list",
    )


BAR = 20
PARTIES = ("candidate", "incumbent")


@command(app, "selection")
def selection(
    session: Session,
    name: Name,
    context: Annotated[str, typer.Option(help="Of this user or session (0: of none).")] = "0",
    as_json: AsJson = False,
) -> None:
    """Show how the models of an application stand: weights, losses, and who is surely worse.

    Of a canary also failures and latencies, and which differences are significant.

    Example: clipper-admin app selection digits --context user-17
    """
    learned = session.clipper.get_selection_state(name, context)
    if as_json:
        session.show_json(learned)
        return
    models = learned["models"]
    answers = sum(model["answers"] for model in models)
    columns = ("MODEL", "SHARE", "", "ANSWERS", "JUDGED", "LOSS", "95 % INTERVAL", "")
    session.table(columns, (_standing(model, answers) for model in models))
    if comparisons := learned["comparisons"]:
        names = [comparisons[0][party]["model"] for party in PARTIES]
        session.table(
            ("COMPARED", *names, "DIFFERENCE", "ALLOWED", ""), map(_compared, comparisons)
        )
    session.say(_finding(learned))


def _standing(model: dict[str, Any], answers: int) -> tuple[object, ...]:
    known = model["loss"] is not None
    return (
        model["model"],
        f"{model['share']:6.1%}",
        "#" * round(BAR * model["share"]),
        f"{model['answers'] / answers:6.1%}" if answers else "-",
        model["judged"],
        f"{model['loss']:.4f}" if known else "-",
        f"{model['loss_low']:.4f} to {model['loss_high']:.4f}" if known else "-",
        "surely worse" if model["is_worse"] else "",
    )


def _compared(comparison: dict[str, Any]) -> tuple[object, ...]:
    return (
        comparison["what"],
        *(_mean(comparison[party]) for party in PARTIES),
        f"{comparison['difference_low']:+.4f} to {comparison['difference_high']:+.4f}",
        f"{comparison['allowed']:g}",
        _significance(comparison),
    )


def _mean(mean: dict[str, Any]) -> str:
    if mean["mean"] is None:
        return "-"
    return f"{mean['mean']:.4f} ({mean['low']:.4f} to {mean['high']:.4f})"


def _significance(comparison: dict[str, Any]) -> str:
    """In words, what is known of a difference."""
    if any(comparison[party]["mean"] is None for party in PARTIES):
        return "not known yet"
    if not comparison["is_significant"]:
        return "no significant difference"
    return f"significantly {'higher' if comparison['difference_low'] > 0 else 'lower'}"


def _finding(learned: dict[str, Any]) -> str:
    """In words, what may be concluded."""
    if learned["verdict"]:
        return f"The trial is over: {learned['verdict']}, as {learned['reason']}."
    if learned["comparisons"]:
        return _trial(learned["comparisons"])
    judged = [model for model in learned["models"] if model["judged"]]
    if not judged:
        return f"No feedback has come yet: clipper-admin feedback {learned['application']} ..."
    if learned["reason"]:
        return f"The cascade asks its last model always: {learned['reason']}."
    if learned["policy"] == "cascade":
        return (
            "The cascade is on. Each model is judged by the answers that it was sure of, the last "
            "by all that it gave: their losses are about different queries."
        )
    if len(judged) < 2:
        return "Nothing to compare: only one model was judged so far."
    best = min(judged, key=lambda model: model["loss"])
    if all(model["is_worse"] for model in judged if model is not best):
        return f"{best['model']} is the best: the difference is significant."
    return f"{best['model']} leads, but the difference is not significant yet."


def _trial(comparisons: list[dict[str, Any]]) -> str:
    candidate, incumbent = (comparisons[0][party]["model"] for party in PARTIES)
    found = [
        f"its {comparison['what']} is {_significance(comparison)}"
        for comparison in comparisons
        if comparison["is_significant"]
    ]
    known = ", ".join(found) if found else "no difference is significant yet"
    return f"The trial of {candidate} against {incumbent} is open: {known}."


@command(app, "set-policy")
def set_policy(
    session: Session,
    name: Name,
    policy: Annotated[
        str, typer.Argument(help="Its name, or JSON with parameters.", show_default=False)
    ],
) -> None:
    """Give an application another selection policy; what the old one learned is forgotten.

    The same policy with other parameters keeps what it learned, but for a canary with other margins
    and a cascade with other thresholds, which begin anew.

    Example: clipper-admin app set-policy digits '{"name": "canary", "candidate": "svm:2"}'
    """
    chosen: Any = parse_json(policy, "POLICY") if policy.startswith("{") else policy
    session.clipper.set_selection_policy(name, chosen)
    kind = chosen if isinstance(chosen, str) else chosen.get("name")
    session.say(f"Application {name} has the policy {kind}.")
    session.say(f"Next: clipper-admin app selection {name}")


@command(app, "link")
def link(session: Session, name: Name, model: Model) -> None:
    """Let a model answer an application's queries, by its current version.

    Example: clipper-admin app link digits svm
    """
    session.clipper.link_model_to_app(name, model)
    session.say(f"Linked {model} to {name}.")


@command(app, "unlink")
def unlink(session: Session, name: Name, model: Model) -> None:
    """End a link.

    Example: clipper-admin app unlink digits svm
    """
    session.clipper.unlink_model_from_app(name, model)
    session.say(f"Unlinked {model} from {name}.")


@command(app, "delete")
def delete(session: Session, name: Name, yes: Yes = False) -> None:
    """Delete an application; its endpoint ends at once.

    Example: clipper-admin app delete digits --yes
    """
    session.confirm(f"Delete application {name}? Its queries will be refused.", yes)
    session.clipper.unregister_application(name)
    session.say(f"Deleted application {name}.")
