"""`clipper-admin query` and `feedback`: ask an application, and tell it the truth."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from clipper.admin.errors import InvalidCall
from clipper.admin.input_files import read_input
from clipper.admin.messages import MISSING, Prediction
from clipper.admin.terminal import AsJson, Session, command, parse_json
from clipper.core.escapes import in_json

Name = Annotated[str, typer.Argument(help="The application.", show_default=False)]
Context = Annotated[
    str | None, typer.Option("--context", help="Whose selection state: a user, a session.")
]


def add_to(app: typer.Typer) -> None:
    """Register both commands."""
    command(app, "query")(query)
    command(app, "feedback")(feedback)


def query(  # noqa: PLR0913 -- an option for each key of a query
    session: Session,
    name: Name,
    input_: Annotated[
        str | None, typer.Argument(metavar="JSON", help="The input; - reads it from stdin.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="Or a file with it: x.npy is an array, any other is bytes."),
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="JSON is a list of inputs; an array's rows are.")
    ] = False,
    version: Annotated[
        str | None, typer.Option(help="A version of the model, not the current one.")
    ] = None,
    context: Context = None,
    slo_ms: Annotated[
        float | None, typer.Option(help="A tighter deadline, in milliseconds.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add timing to --json.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask an application for a prediction.

    \b
    Examples:
      clipper-admin query digits '[0.1, 0.5, 0.9]'
      clipper-admin query greeter '"hello"' --json
      clipper-admin query digits '[[1, 2], [3, 4]]' --batch
      clipper-admin query images --file image.npy
    """
    value = _input(input_, file)
    options: dict[str, Any] = {
        "version": version,
        "context": context,
        "slo_ms": slo_ms,
        "explain": explain,
    }
    if not batch:
        prediction = session.clipper.predict(name, value, **options)
        _show(session, prediction, as_json)
        return
    if not isinstance(value, list) and not getattr(value, "shape", ()):
        raise InvalidCall("--batch needs a list of inputs.", hint="Write [input, input, ...].")
    predictions = session.clipper.predict_batch(name, value, **options)
    if as_json:
        session.show_json({"batch_predictions": [one.raw for one in predictions]})
    else:
        for one in predictions:
            _show(session, one, as_json=False)


def _input(text: str | None, file: Path | None) -> Any:
    if (text is None) == (file is None):
        raise InvalidCall(
            "A query has one input, as JSON or in a file.", hint="Give one of JSON and --file."
        )
    if file is not None:
        return read_input(file)
    return parse_json(sys.stdin.read() if text == "-" else text or "", "The input")


def _show(session: Session, prediction: Prediction, as_json: bool) -> None:
    if as_json:
        session.show_json(prediction.raw)
        return
    typer.echo(in_json(json.dumps(prediction.output, ensure_ascii=False)))
    why = f" (default: {prediction.explanation})" if prediction.is_default else ""
    session.say(f"query_id {prediction.query_id}{why}")


def feedback(  # noqa: PLR0913 -- an option for each key of feedback
    session: Session,
    name: Name,
    label: Annotated[str, typer.Option(metavar="JSON", help="The true answer.")],
    query_id: Annotated[int | None, typer.Option(help="The query, by its id.")] = None,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="JSON", help="The query, by its input.")
    ] = None,
    context: Context = None,
    as_json: AsJson = False,
) -> None:
    """Tell an application the true answer to a query.

    \b
    Examples:
      clipper-admin feedback digits --query-id 12 --label 3
      clipper-admin feedback digits --input '[0.1, 0.5]' --label 3 --context user-17
    """
    value = MISSING if input_ is None else parse_json(input_, "--input")
    truth = parse_json(label, "--label")
    answer = session.clipper.feedback(name, truth, query_id, value, context)
    if as_json:
        session.show_json(answer.raw)
    elif answer.learned:
        session.say("Learned.")
    else:
        session.say("Received; nothing could learn from it.")
