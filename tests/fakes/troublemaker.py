"""Models that make trouble; containers run them, the tests never import them.

They take JSON. To the Troublemaker, an object with the key `do` is an order; everything else it
gives back.
"""

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from clipper_container import ModelContainer


class Troublemaker(ModelContainer):
    """Does what it is told."""

    def predict_batch(self, inputs: Any) -> Any:
        outputs = list(inputs)
        for index, value in enumerate(inputs):
            if isinstance(value, dict) and "do" in value:
                outputs[index] = getattr(self, value["do"])(value)
        if "nothing" in outputs:
            return None
        return [output for output in outputs if output != "missing"]

    def sleep(self, order: dict[str, Any]) -> Any:
        """Takes its time; leaves a file when it has begun, if one is named."""
        if "begun" in order:
            Path(order["begun"]).touch()
        time.sleep(order["for_s"])
        return "awake"

    def touch(self, order: dict[str, Any]) -> Any:
        """Leaves a file, to show that it was asked."""
        Path(order["file"]).touch()
        return "touched"

    def fail(self, order: dict[str, Any]) -> Any:
        raise ValueError("this is poison")

    def answer_too_few(self, order: dict[str, Any]) -> Any:
        return "missing"

    def answer_nothing(self, order: dict[str, Any]) -> Any:
        return "nothing"

    def answer_nan(self, order: dict[str, Any]) -> Any:
        return float("nan")

    def answer_object(self, order: dict[str, Any]) -> Any:
        return object()

    def exit(self, order: dict[str, Any]) -> Any:
        os.write(2, b"these are its last words\n")
        os._exit(3)

    def raise_exit(self, order: dict[str, Any]) -> Any:
        raise SystemExit(4)

    def kill(self, order: dict[str, Any]) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def eat_memory(self, order: dict[str, Any]) -> Any:
        """Has no more than it has now and a little, and asks for more than that."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (64 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return len(bytes(1 << 30))

    def write(self, order: dict[str, Any]) -> Any:
        """Writes much to stdout."""
        line = b"x" * 1023 + b"\n"
        for _ in range(order["bytes"] // (1 << 20)):
            os.write(1, line * 1024)
        return "written"


class Liar(ModelContainer):
    """Is always wrong."""

    def predict_batch(self, inputs: Any) -> Any:
        return ["a lie"] * len(inputs)


class RaisesInInit(ModelContainer):
    """Cannot be loaded."""

    def __init__(self, model_data: str) -> None:
        raise RuntimeError("the weights are from another planet")

    def predict_batch(self, inputs: Any) -> Any:
        return inputs


class SlowToLoad(ModelContainer):
    """Takes long to load."""

    def __init__(self, model_data: str) -> None:
        time.sleep(600)
        super().__init__(model_data)

    def predict_batch(self, inputs: Any) -> Any:
        return inputs
