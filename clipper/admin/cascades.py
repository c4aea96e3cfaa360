"""What is needed to fit a cascade: examples, what each model says of them, and how right that is.

What a model costs is not measured here: an example that was asked before is answered from the
prediction cache. Its replicas know how long their batches take, whatever the cache spares them.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from clipper.admin.client import ClipperConnection
from clipper.admin.errors import ClipperRefused, InvalidCall
from clipper.core.errors import InvalidInput
from clipper.core.outputs import json_text
from clipper.selection.losses import LOSSES

CHUNK = 64
"""Inputs in a request."""
PATIENCE_S = 60
WRONG = 1.0
"""What an output costs that cannot be judged, as when it serves."""


class Example(NamedTuple):
    """An input and its true label."""

    input: Any
    label: Any


class Said(NamedTuple):
    """What a model says of all examples."""

    model: str
    outputs: list[Any]
    cost_s: float
    """Of one query alone, in a batch of its own, as its replicas have measured it of late."""


def read_examples(file: Path) -> list[Example]:
    """One JSON object a line, with `input` and `label`.

    Raises:
        InvalidCall: it cannot be read, or a line is no such object.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCall(
            f"{file} cannot be read: {error}.", hint="Name a JSON lines file."
        ) from None
    examples = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            examples.append(Example(row["input"], row["label"]))
        except (ValueError, KeyError, TypeError):
            raise InvalidCall(
                f"Line {number} of {file} is no example.",
                hint='Each line is {"input": ..., "label": ...}.',
            ) from None
    if not examples:
        raise InvalidCall(f"{file} has no examples.", hint="A thousand or more are good.")
    return examples


def ask_all(
    clipper: ClipperConnection,
    application: dict[str, Any],
    examples: Sequence[Example],
    tell: Callable[[str], None],
) -> list[Said]:
    """Each linked model's outputs, by an application of its own that is deleted afterwards.

    Raises:
        ClipperRefused: a model did not answer, or its replicas do not know how long they take.
    """
    said = []
    for model in application["linked_models"]:
        with _alone(clipper, application, model) as name:
            outputs: list[Any] = []
            for start in range(0, len(examples), CHUNK):
                tell(f"{model}: {start} of {len(examples)}")
                inputs = [one.input for one in examples[start : start + CHUNK]]
                for prediction in clipper.predict_batch(name, inputs):
                    if prediction.is_default:
                        raise ClipperRefused(
                            f"{model} gave no output: {prediction.explanation}",
                            code="no_output",
                            hint=f"See how it is: clipper-admin model show {model}",
                        )
                    outputs.append(prediction.output)
            said.append(Said(model, outputs, _cost_s(clipper, model)))
    return said


def _cost_s(clipper: ClipperConnection, model: str) -> float:
    version = clipper.get_current_model_version(model)
    info = clipper.get_model_info(model, version) or {"replica_states": []}
    known = [one["latency"] for one in info["replica_states"] if one["latency"] is not None]
    if not known:
        raise ClipperRefused(
            f"The replicas of {model}:{version} have answered no batch yet, so that nobody knows "
            "what it costs: all its outputs were cached.",
            code="no_latency",
            hint="Add an example to the file that the model was never asked.",
        )
    costs_ms = [latency["fixed_ms"] + latency["per_query_ms"] for latency in known]
    return float(sum(costs_ms) / len(costs_ms) / 1e3)


def judge(
    application: dict[str, Any], examples: Sequence[Example], said: Sequence[Said]
) -> list[list[float]]:
    """What each output costs by the application's loss and labels, by model, as when it serves.

    Raises:
        InvalidCall: the loss says nothing of models, or cannot judge any output by some label.
        ClipperRefused: the loss never takes what a model says for a label.
    """
    name, meanings = application["loss"], application["labels"]
    check_loss_judges(name)
    losses: list[list[float]] = [[] for _ in said]
    for number, example in enumerate(examples):
        label = example.label
        label = meanings.get(label if isinstance(label, str) else json_text(label), label)
        refusals = []
        for of_model, one in zip(losses, said, strict=True):
            try:
                of_model.append(LOSSES[name](label, one.outputs[number]))
            except InvalidInput as error:
                of_model.append(WRONG)
                refusals.append(error)
        if len(refusals) == len(said):
            raise InvalidCall(
                f"Example {number + 1} cannot be judged by the loss {name}: {refusals[-1].message}",
                hint=refusals[-1].hint or "Mend its label.",
            )
    for of_model, one in zip(losses, said, strict=True):
        if _is_never_taken(one.outputs, of_model):
            raise ClipperRefused(
                f"{one.model} says one probability, which the loss {name} never takes for a label.",
                code="no_label",
                hint="Have it return one probability for each class: [0.07, 0.93] for 0.93.",
            )
    return losses


def check_loss_judges(loss: str) -> None:
    """Whether a loss compares outputs with labels.

    Raises:
        InvalidCall: the labels are themselves the losses, of answers that were given.
    """
    if loss == "given":
        raise InvalidCall(
            "The application's loss is `given`, which cannot judge a model's output by a label.",
            hint="Fit with an application of another loss that has the same models.",
        )


def _is_never_taken(outputs: Sequence[Any], losses: Sequence[float]) -> bool:
    """Whether a model says single probabilities, and wherever it is not wholly sure is wrong."""
    if not all(isinstance(output, float) and 0 <= output <= 1 for output in outputs):
        return False
    unsure = [loss for loss, output in zip(losses, outputs, strict=True) if 0 < output < 1]
    return bool(unsure) and min(unsure) >= WRONG


@contextmanager
def _alone(clipper: ClipperConnection, application: dict[str, Any], model: str) -> Iterator[str]:
    name = f"fit-{secrets.token_hex(8)}"
    clipper.register_application(name, application["input_type"], "", PATIENCE_S * 1_000_000)
    try:
        clipper.link_model_to_app(name, model)
        yield name
    finally:
        clipper.unregister_application(name)
