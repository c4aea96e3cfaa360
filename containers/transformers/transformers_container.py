"""Serves a folder that `save_pretrained` of Transformers wrote: model, configuration and tokenizer.

The task follows from the model's architecture; the output option names another. Nothing is looked
for outside of the folder.
"""

import json
import os
from pathlib import Path
from typing import Any

# Read when the package is imported.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")

import torch
import transformers
from clipper_container import LoadError, ModelContainer
from clipper_container.saved import place_of, reading, reason

TOKENIZER = "tokenizer_config.json"
WORDS = ("tokenizer*", "vocab*", "merges.txt", "*.model", "*.spm", "tekken.json")
"""Any of them is enough of a tokenizer to try."""
TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "Model": "feature-extraction",
}
"""By how the name of the architecture ends."""


class TransformersContainer(ModelContainer):
    """Answers texts as the pipeline of the task does: a label with its score, tokens, texts.

    A function beside the model is called with that pipeline, or, where there is no tokenizer or the
    task is not known, with the network.
    """

    def __init__(self, model_data: str) -> None:
        """Load the folder."""
        super().__init__(model_data)
        path = place_of(model_data)
        architecture = architecture_of(path)
        task = self._task(architecture, path)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if task:
            check_words(path)
        with reading(path, f"a model for {task}" if task else "a model"):
            cls = getattr(transformers, architecture)
            network = cls.from_pretrained(path, local_files_only=True).to(device)
            if task:
                tokens = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
                network = transformers.pipeline(task, network, tokenizer=tokens, device=device)
            self.model = network
        what = f"{architecture} for {task}" if task else architecture
        self.about = f"Transformers {transformers.__version__}, {what}"
        if not self.has_function:
            self._describe(task)

    def _task(self, architecture: str, path: Path) -> str:
        """What the pipeline is for; empty where a function is called with the network itself."""
        if self.options.output:
            check_task(self.options.output, architecture, path)
            return self.options.output
        makes_pipeline = architecture.endswith(tuple(TASKS)) and (path / TOKENIZER).is_file()
        if self.has_function and not makes_pipeline:
            return ""
        return task_of(architecture, path)

    def _describe(self, task: str) -> None:
        # Texts of several lengths share a batch only where there is something to fill them up with.
        self._can_pad = self.model.tokenizer.pad_token is not None
        self.input_type = self.input_form = "strings"
        self.sample_input = self.model.tokenizer.mask_token if task == "fill-mask" else "a text"

    def warm_up(self) -> None:
        """A text is no guess: a pipeline that refuses it does so with every text."""
        try:
            super().warm_up()
        except LoadError:
            raise
        except Exception as error:
            raise LoadError(
                f"{self.about}, does not answer texts: {reason(error)}. "
                "Another task may be named as its output."
            ) from error

    def predict_batch(self, inputs: Any) -> Any:
        """One answer for each text, as JSON."""
        if not all(isinstance(text, str) for text in inputs):
            raise ValueError("An input is no text; the model takes texts.")
        size = len(inputs) if self._can_pad else 1
        answers = self.model(inputs, batch_size=size)
        # This one task answers a list of one text as it would that text.
        return [answers] if self.model.task == "fill-mask" and len(inputs) == 1 else answers


def architecture_of(path: Path) -> str:
    """The name of the model's class.

    Raises:
        LoadError: the folder does not say.
    """
    file = path / "config.json"
    if not file.is_file():
        raise LoadError(f"{path} has no config.json; save model and tokenizer there.")
    with reading(file, "a configuration of Transformers"):
        return str(json.loads(file.read_text(encoding="utf-8"))["architectures"][0])


def check_words(path: Path) -> None:
    """Refuse a folder without a tokenizer, in the place of which an empty one would be made.

    Raises:
        LoadError: it has none.
    """
    if not any(file for pattern in WORDS for file in path.glob(pattern)):
        raise LoadError(
            f"{path} has no tokenizer (tokenizer.json, vocab.txt, spiece.model or the like); "
            "save it there with tokenizer.save_pretrained."
        )


def check_task(wanted: str, architecture: str, path: Path) -> None:
    """Refuse a task of texts for which the architecture has no head: pipelines only log that.

    Raises:
        LoadError: it is for another.
    """
    own = next((task for ending, task in TASKS.items() if architecture.endswith(ending)), wanted)
    if wanted in TASKS.values() and wanted not in (own, "feature-extraction"):
        raise LoadError(f"{path} holds a {architecture}, which is for {own}, not for {wanted}.")


def task_of(architecture: str, path: Path) -> str:
    """The task that models of such a class are for.

    Raises:
        LoadError: none with texts.
    """
    for ending, task in TASKS.items():
        if architecture.endswith(ending):
            return task
    known = ", ".join(f"...{ending}" for ending in TASKS)
    raise LoadError(
        f"{path} holds a {architecture}, which is none of {known}; "
        "name the task as its output, or deploy a class of your own."
    )
