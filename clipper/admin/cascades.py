"""What is needed to fit a cascade: examples, and what each model says of them."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from clipper.admin.client import ClipperConnection
from clipper.admin.errors import ClipperRefused, InvalidCall

CHUNK = 64
"""Inputs in a request."""
PATIENCE_S = 60


class Example(NamedTuple):
    """An input and its true label."""

    input: Any
    label: Any


class Said(NamedTuple):
    """What a model says of all examples."""

    model: str
    outputs: list[Any]
    cost_s: float
    """Of one example, in batches."""


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
        ClipperRefused: a model did not answer.
    """
    said = []
    for model in application["linked_models"]:
        with _alone(clipper, application, model) as name:
            clipper.predict_batch(name, [one.input for one in examples[:CHUNK]])  # warms it up
            outputs: list[Any] = []
            began = time.monotonic()
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
            said.append(Said(model, outputs, (time.monotonic() - began) / len(examples)))
    return said


@contextmanager
def _alone(clipper: ClipperConnection, application: dict[str, Any], model: str) -> Iterator[str]:
    name = f"fit-{secrets.token_hex(8)}"
    clipper.register_application(name, application["input_type"], "", PATIENCE_S * 1_000_000)
    try:
        clipper.link_model_to_app(name, model)
        yield name
    finally:
        clipper.unregister_application(name)
