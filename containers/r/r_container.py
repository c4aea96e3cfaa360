"""Serves a model of R's that `saveRDS` saved, by `predict(model, table)` in an R of its own.

Arrays are rows of a table whose columns have the names that the model was fitted to; JSON inputs
are records, each of an input's names with their texts and numbers, null where something is missing.
The output option is the `type` of `predict`: `response`, `class`, `prob`. It takes R with jsonlite,
and the packages that the model needs, on the machine: nothing of that is pip's to install.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from clipper_container import LoadError, ModelContainer
from clipper_container.forms import stacked
from clipper_container.saved import find_file

SERVE = Path(__file__).with_name("serve.R")


class RContainer(ModelContainer):
    """Hands batches to R, and what R says of them back."""

    def __init__(self, model_data: str) -> None:
        """Start R with the file, or with the only such file of a folder."""
        super().__init__(model_data)
        path = find_file(model_data, (".rds", ".RDS"))
        try:
            self._r = R(path, self.options.output)
        except FileNotFoundError as error:
            raise LoadError("There is no Rscript here: install R and jsonlite.") from error
        said = self._r.receive()
        if said is None:
            raise LoadError(f"R ended with code {self._r.wait()}; what it said is above.")
        if "error" in said:
            raise LoadError(f"{path} cannot be read as a model of R's: {said['error']}")
        self.about = said["about"]
        self.input_form = ", ".join(said["names"])

    def predict_batch(self, inputs: Any) -> Any:
        """One prediction for each input."""
        if isinstance(inputs[0], np.ndarray):
            inputs = [row.ravel().tolist() for row in stacked(inputs)]
        said = self._r.ask(inputs)
        if said is None:  # a crash, or `quit`: whoever started us starts another
            sys.exit(f"R ended with code {self._r.wait()}")
        if "error" in said:
            raise ValueError(f"R says: {said['error']}")
        return [np.nan if output == "NaN" else output for output in said["outputs"]]


class R:
    """An R that serves one model; it ends with us."""

    def __init__(self, model: Path, kind: str) -> None:
        questions, ask = os.pipe()
        answer, answers = os.pipe()
        command = ["Rscript", "--vanilla", str(SERVE), str(model), kind]
        try:
            self._process = subprocess.Popen(
                [*command, str(questions), str(answers)],
                stdin=subprocess.DEVNULL,
                pass_fds=(questions, answers),
            )
        finally:
            os.close(questions)
            os.close(answers)
        self._ask = os.fdopen(ask, "w", encoding="utf-8")
        self._answer = os.fdopen(answer, encoding="utf-8")

    def ask(self, inputs: Any) -> dict[str, Any] | None:
        """What it says of a batch; None where it says nothing any more."""
        try:
            self._ask.write(json.dumps(inputs, ensure_ascii=False, allow_nan=False) + "\n")
            self._ask.flush()
        except BrokenPipeError:
            return None
        return self.receive()

    def receive(self) -> dict[str, Any] | None:
        """Its next line; None where it has ended."""
        line = self._answer.readline()
        said: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
        return said

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait()
