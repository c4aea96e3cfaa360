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
    chosen = parse_policy(policy, "--policy")
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


def parse_policy(text: str, what: str) -> str | dict[str, Any]:
    """A selection policy: its name, or a JSON object of its name and parameters.

    Raises:
        InvalidCall: it is JSON, and no such object.
    """
    if not text.startswith(("{", "[", '"')):
        return text
    policy = parse_json(text, what)
    if isinstance(policy, dict) and isinstance(policy.get("name"), str):
        return policy
    raise InvalidCall(
        f"{what} {text} is no selection policy.",
        hint='Give its name, exp3, or a JSON object with "name": {"name": "exp3", "eta": 0.1}.',
    )


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
SHARED = ("ab", "canary", "shadow", "cascade")
"""Policies that learn the same for all contexts."""


@command(app, "selection")
def selection(
    session: Session,
    name: Name,
    context: Annotated[str, typer.Option(help="Of this user or session (0: of none).")] = "0",
    as_json: AsJson = False,
) -> None:
    """Show how the models of an application stand: weights, losses, and who is surely worse.

    SHARE is a model's chance of being asked for the next query or, where all are asked, its weight;
    ANSWERS, of the answers that were given in any context, the share that it gave or took part in;
    JUDGED, how often feedback was about it: in this context, or for a policy that learns the same
    for all (ab, canary, shadow, cascade) in any.

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
        return _verdict(learned)
    if learned["comparisons"]:
        return _trial(learned["comparisons"])
    if learned["state"] is None:
        return f"{learned['policy']} learns nothing from feedback."
    judged = [model for model in learned["models"] if model["judged"]]
    if learned["policy"] == "cascade":
        return _cascade(learned, is_judged=bool(judged))
    if not judged:
        return _unjudged(learned)
    return _leader(judged)


def _leader(judged: list[dict[str, Any]]) -> str:
    """Which model is the best, as far as that is known."""
    if len(judged) < 2:
        return "Nothing to compare: only one model was judged so far."
    best = min(judged, key=lambda model: model["loss"])
    if all(model["is_worse"] for model in judged if model is not best):
        return f"{best['model']} is the best: the difference is significant."
    return f"{best['model']} leads, but the difference is not significant yet."


def _unjudged(learned: dict[str, Any]) -> str:
    """Nothing may be concluded yet."""
    whose = ""
    if learned["policy"] not in SHARED:
        whose = f" for context {learned['context']} (--context names another)"
    return (
        f"No feedback has come yet{whose}.\n"
        f"Next: clipper-admin feedback {learned['application']} ..."
    )


def _cascade(learned: dict[str, Any], is_judged: bool) -> str:
    """Whether it is one, in effect."""
    if not json.loads(learned["state"]["about"])["thresholds"]:
        return (
            "The cascade has no thresholds, so that its last model answers all.\n"
            f"Next: find some: clipper-admin app fit-cascade {learned['application']} --data FILE"
        )
    if not is_judged:
        return _unjudged(learned)
    if learned["reason"]:
        return f"The cascade asks its last model always: {learned['reason']}."
    return (
        "The cascade is on. Each model is judged by the answers that it was sure of, the last "
        "by all that it gave: their losses are about different queries."
    )


def _verdict(learned: dict[str, Any]) -> str:
    """What a trial has come to, and the commands that make it last."""
    candidate, application = learned["state"]["candidate"], learned["application"]
    name, _, version = candidate.partition(":")
    others = [one["model"] for one in learned["models"] if one["model"] != candidate]
    is_promoted = learned["verdict"] == "promoted"
    winner = name if is_promoted else (others or [candidate])[0].partition(":")[0]
    linked = dict.fromkeys(one["model"].partition(":")[0] for one in learned["models"])
    steps = [f"clipper-admin model set-version {name} {version}"] if is_promoted else []
    # The policy single has one model.
    steps += [f"clipper-admin app unlink {application} {one}" for one in linked if one != winner]
    steps.append(f"clipper-admin app set-policy {application} single")
    lines = [f"The trial is over: {learned['verdict']}, as {learned['reason']}."]
    lines.append("Next: " + "\n      ".join(steps))
    if not is_promoted:
        lines.append(
            f"Then {candidate} may be deleted: clipper-admin model delete {name} {version}"
        )
    return "\n".join(lines)


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
    chosen = parse_policy(policy, "POLICY")
    session.clipper.set_selection_policy(name, chosen)
    kind = chosen if isinstance(chosen, str) else chosen["name"]
    session.say(f"Application {name} has the policy {kind}.")
    session.say(f"Next: clipper-admin app selection {name}")


@command(app, "link")
def link(session: Session, name: Name, model: Model) -> None:
    """Let a model answer an application's queries, by its current version.

    Example: clipper-admin app link digits svm
    """
    try:
        session.clipper.link_model_to_app(name, model)
    except ClipperRefused as refusal:
        linked = refusal.code == "already_exists" and session.clipper.get_linked_models(name)
        if not linked or model not in linked:
            raise
        session.say(f"{name} asks {model} already.")
        return
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
