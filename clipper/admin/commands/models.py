"""`clipper-admin model`: model versions and their replicas."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from clipper.admin.commands.logs import follow
from clipper.admin.commands.model_facts import ready, show_version
from clipper.admin.commands.quantities import bytes_of, lines_of
from clipper.admin.deploying import AUTO
from clipper.admin.errors import AdminError, ClipperRefused, InvalidCall
from clipper.admin.progress import deploying, deployment_phase, progress, replicas_ready
from clipper.admin.terminal import AsJson, Session, Yes, command, parse_json
from clipper.core.escapes import lines
from clipper.deploy.frameworks import EXECUTABLE, FRAMEWORKS

app = typer.Typer(no_args_is_help=True, help="Models: versions, replicas, logs.")

Name = Annotated[str, typer.Argument(help="The model.", show_default=False)]
Version = Annotated[str, typer.Argument(help="The version.", show_default=False)]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, max=3600, help="Seconds to wait for replicas.")
]


@command(app, "deploy")
def deploy(  # noqa: PLR0913 -- an option for each setting
    session: Session,
    name: Annotated[str, typer.Argument(help="The model.", show_default=False)],
    version: Annotated[str, typer.Argument(help="Its new version.", show_default=False)],
    path: Annotated[
        str,
        typer.Argument(help="The saved model; for python, file.py:ClassName.", show_default=False),
    ] = "",
    framework: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join([*FRAMEWORKS, EXECUTABLE])} or image; by default by its looks."
        ),
    ] = None,
    input_type: Annotated[
        str,
        typer.Option(
            help="integers, floats, doubles, strings, bytes or json; by default the model says, or "
            "else as the version before it, or else floats."
        ),
    ] = AUTO,
    replicas: Annotated[int, typer.Option(min=1, help="How many copies to run.")] = 1,
    manager: Annotated[str, typer.Option(help="process or docker.")] = "process",
    batch_size: Annotated[
        int | None, typer.Option(help="A fixed batch size; by default it is found by measuring.")
    ] = None,
    batching: Annotated[
        str | None,
        typer.Option(
            help='JSON: {"controller": "aimd", "wait_ms": 2}, controller quantile, '
            'or {"controller": "fixed", "size": 8}.'
        ),
    ] = None,
    hedging: Annotated[
        float,
        typer.Option(
            help="Share of queries, to 0.05, to send to a second replica if the first is overdue."
        ),
    ] = 0.0,
    approximate_cache: Annotated[
        str | None,
        typer.Option(
            help='JSON: {"metric": "angular", "radius": 0.1}: serve near inputs with one output.'
        ),
    ] = None,
    model_data: Annotated[
        str, typer.Option(help="Files for a python model, given to its class.")
    ] = "",
    requirements: Annotated[
        Path | None,
        typer.Option(
            help="File of the packages that the model needs; by default requirements.txt in the "
            "folder that PATH is, or that its class lies in; or else what its framework needs."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option(help="Which of its outputs or methods answers, as predict_proba.")
    ] = "",
    gpus: Annotated[
        list[str] | None,
        typer.Option(help="GPUs of a replica, 0,1 or all; repeated, replicas take them in turn."),
    ] = None,
    memory: Annotated[str, typer.Option(help="Memory of one replica, as 512m or 8g.")] = "",
    cpus: Annotated[float, typer.Option(min=0, help="Docker: cores of one replica.")] = 0.0,
    network: Annotated[
        str, typer.Option(help="Docker: a network that the model may reach; else it reaches none.")
    ] = "",
    image: Annotated[str, typer.Option(help="Docker: an image, instead of the framework's.")] = "",
    upload: Annotated[
        bool, typer.Option(help="Send the model to a daemon that cannot see this machine's files.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "--labels", help="A note on the model; may be repeated."),
    ] = None,
    keep_current: Annotated[
        bool,
        typer.Option(
            "--keep-current", help="Leave the current version so: try this one first, by a canary."
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds until the first replica is ready; by default 120, after what it needs is "
            "installed.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a model version, and make it the current one as soon as a replica is ready.

    \b
    Examples:
      clipper-admin model deploy svm 1 svm.joblib
      clipper-admin model deploy churn 7 mlruns/models/m-4d1/artifacts --replicas 2
      clipper-admin model deploy rules 2 rules.py:Rules --model-data tables/ --input-type json
      clipper-admin model deploy resnet 1 resnet.pt2 --manager docker --gpus 0 --gpus 1 --replicas 2
    """
    if batch_size is not None and batching is not None:
        raise InvalidCall(
            "--batch-size and --batching say the same thing twice.", hint="Give one of the two."
        )
    label_of = f"{name}:{version}"
    with progress(session.err, label_of, lambda: deployment_phase(session.clipper, label_of)):
        answer = session.clipper.deploy_model(
            name,
            version,
            input_type,
            path,
            framework=framework or "",
            manager=manager,
            num_replicas=replicas,
            batch_size=-1 if batch_size is None else batch_size,
            batching=(
                None
                if batching is None
                else parse_json(batching, "--batching", '{"controller": "aimd"}')
            ),
            hedging=hedging,
            approximate_cache=(
                None
                if approximate_cache is None
                else parse_json(approximate_cache, "--approximate-cache")
            ),
            model_data=model_data,
            labels=label,
            image=image,
            requirements=None if requirements is None else lines_of(requirements),
            output=output,
            gpus=gpus or (),
            memory_bytes=bytes_of(memory) if memory else 0,
            cpus=cpus,
            network=network,
            upload=upload,
            timeout_s=timeout,
            keep_current=keep_current,
        )
    if as_json:
        session.show_json(answer)
        return
    session.say(f"Deployed {label_of}: {ready(answer)} replicas are ready.")
    if not answer["is_current"]:
        canary = json.dumps({"name": "canary", "candidate": label_of})
        session.say(f"Next: clipper-admin app set-policy APP '{canary}'")
    elif apps := _asked_by(session, name):
        session.say(f"{_asking(apps)} it now.")
    else:
        session.say(f"Next: clipper-admin app link APP {name}")


def _asked_by(session: Session, name: str) -> list[str]:
    """The applications that link a model; none where that cannot be known."""
    try:
        applications = session.clipper.get_all_apps(verbose=True)
    except AdminError:  # it is said beside something that has been done
        return []
    return [one["name"] for one in applications if name in one["linked_models"]]


def _asking(apps: Sequence[str]) -> str:
    return f"{', '.join(apps)} {'asks' if len(apps) == 1 else 'ask'}"


@command(app, "list")
def list_(session: Session, as_json: AsJson = False) -> None:
    """List all model versions.

    Example: clipper-admin model list --json
    """
    models = session.clipper.get_all_models(verbose=True)
    if as_json:
        session.show_json(models)
    elif not models:
        session.say("No models. Next: clipper-admin model deploy NAME VERSION PATH")
    else:
        _table(session, models)


def _table(session: Session, models: list[dict[str, Any]]) -> None:
    columns = ("MODEL", "VERSION", "CURRENT", "INPUT", "FRAMEWORK", "MANAGER", "READY")
    session.table(columns, map(_row, models))


def _row(model: dict[str, Any]) -> tuple[object, ...]:
    deployment = model["deployment"] or {}
    return (
        model["name"],
        model["version"],
        "yes" if model["is_current"] else "",
        model["input_type"],
        deployment.get("framework", "-"),
        deployment.get("manager", "-"),
        f"{model['replicas']['ready']}/{model['replicas']['wanted']}",
    )


@command(app, "show")
def show(
    session: Session,
    name: Name,
    version: Annotated[
        str | None, typer.Argument(help="One version, with its replicas.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's versions, or one version with its replicas.

    \b
    Examples:
      clipper-admin model show svm
      clipper-admin model show svm 2
    """
    if version is None:
        versions = session.clipper.get_model_versions(name)
        if as_json:
            session.show_json(versions)
        else:
            _table(session, versions)
        return
    model = session.clipper.get_model_info(name, version)
    if model is None:
        raise unknown(session, name, version)
    if as_json:
        session.show_json(model)
    else:
        show_version(session, model)


def unknown(session: Session, name: str, version: str) -> ClipperRefused:
    """There is no such version, or not yet."""
    for one in session.clipper.get_deployments():
        if one["model"] == f"{name}:{version}":
            return ClipperRefused(
                f"{name}:{version} is being deployed: {deploying(one)}.",
                code="in_progress",
                hint=f"Follow it: clipper-admin model logs {name} {version} --follow",
            )
    return ClipperRefused(
        f"There is no model {name}:{version}.",
        code="unknown_model",
        hint="See the models there are: clipper-admin model list",
    )


@command(app, "scale")
def scale(  # noqa: PLR0913 -- an option for each setting
    session: Session,
    name: Name,
    version: Version,
    replicas: Annotated[int, typer.Argument(min=0, help="How many copies to run.")],
    wait: Annotated[bool, typer.Option(help="Wait until all are ready.")] = True,
    timeout: Timeout = 120.0,
    as_json: AsJson = False,
) -> None:
    """Change how many replicas of a version run.

    Example: clipper-admin model scale svm 2 4
    """
    title = f"{name}:{version}"
    with progress(session.err, title, lambda: replicas_ready(session.clipper, name, version)):
        model = session.clipper.set_num_replicas(
            name, replicas, version, timeout_s=timeout if wait else 0
        )
    if as_json:
        session.show_json(model)
    else:
        session.say(f"Scaled {title}: {ready(model)} replicas are ready.")


@command(app, "set-version")
def set_version(session: Session, name: Name, version: Version, as_json: AsJson = False) -> None:
    """Make a version the one that answers: roll back or forward.

    Example: clipper-admin model set-version svm 1
    """
    model = session.clipper.set_model_version(name, version)
    if as_json:
        session.show_json(model)
    else:
        session.say(f"{name}:{version} answers now.")


@command(app, "delete")
def delete(session: Session, name: Name, version: Version, yes: Yes = False) -> None:
    """Delete a version: its replicas end, its cached outputs are dropped.

    Example: clipper-admin model delete svm 1 --yes
    """
    try:
        versions = session.clipper.get_model_versions(name)
        is_last = [one["version"] for one in versions] == [version]
        apps = _asked_by(session, name) if is_last else []
        why = f" It is the last version, and {_asking(apps)} it." if apps else ""
        session.confirm(f"Delete {name}:{version} and end its replicas?{why}", yes)
        session.clipper.stop_versioned_models({name: [version]})
    except ClipperRefused as refusal:
        if refusal.code != "unknown_model":
            raise
        raise unknown(session, name, version) from None
    session.say(f"Deleted {name}:{version}.")
    if apps:
        session.say(f"Warning: {_asking(apps)} {name}, which has no version now.")


@command(app, "logs")
def logs(  # noqa: PLR0913 -- an option for each setting
    session: Session,
    name: Name,
    version: Version,
    tail: Annotated[int, typer.Option(min=1, help="How many of the last lines.")] = 100,
    replica: Annotated[int, typer.Option(min=0, help="Which replica.")] = 0,
    follow_: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a replica wrote to its stdout and stderr.

    Example: clipper-admin model logs svm 2 --tail 20 --follow
    """
    if follow_ and as_json:
        raise InvalidCall("--follow never ends, JSON must.", hint="Leave out one of the two.")
    if follow_:
        with suppress(KeyboardInterrupt):  # how one ends it
            for line in follow(session.clipper, name, version, tail=tail, replica=replica):
                typer.echo(lines(line))
        return
    written = session.clipper.get_model_logs(name, version, tail=tail, replica=replica)
    if as_json:
        session.show_json({"lines": written})
    else:
        typer.echo("".join(f"{lines(line)}\n" for line in written), nl=False)
