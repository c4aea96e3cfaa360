"""Models that behave in one way each; containers run them, the tests never import them."""

import importlib
import os
import resource
import signal
import time
from typing import Any

from clipper_container import ModelContainer


def say(*words: object) -> None:
    """Print a line at once, where the log goes, too: between two streams, order may be lost."""
    os.write(2, (" ".join(map(str, words)) + "\n").encode())


class Serves(ModelContainer):
    """Answers with how many numbers it was sent."""

    def predict_batch(self, inputs: Any) -> Any:
        return [len(each) for each in inputs]


class Raises(Serves):
    """Cannot be loaded."""

    def __init__(self, model_data: str) -> None:
        raise RuntimeError("no such luck")


class Exits(Serves):
    """Ends the process while it is loaded."""

    def __init__(self, model_data: str) -> None:
        say("these were its last words")
        os._exit(3)


class IgnoresSigterm(Serves):
    """Never gets to serving, and will not be asked to stop."""

    def __init__(self, model_data: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("Hanging")
        time.sleep(3600)


class EatsMemory(Serves):
    """Takes all memory there is."""

    def __init__(self, model_data: str) -> None:
        eaten = [bytearray(os.urandom(1 << 20)) for _ in range(1 << 20)]
        say(len(eaten))


class RaisesLimits(Serves):
    """Tries to give itself more than it may have."""

    def __init__(self, model_data: str) -> None:
        for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
            most = resource.getrlimit(kind)[1] + 1
            try:
                resource.setrlimit(kind, (most, most))
                say("raised", kind)
            except (ValueError, OSError) as error:
                say("refused", kind, error)
        super().__init__(model_data)


class Prints(Serves):
    """Prints without end, in lines of 100 bytes."""

    def __init__(self, model_data: str) -> None:
        while True:
            os.write(1, (b"x" * 99 + b"\n") * 1000)


class Forks(Serves):
    """Has a child in its process group, and another in a session of its own."""

    def __init__(self, model_data: str) -> None:
        for has_session in (False, True):
            if os.fork() == 0:
                if has_session:
                    os.setsid()
                say("child", os.getpid())
                time.sleep(3600)
        super().__init__(model_data)


class ShowsItself(Serves):
    """Prints what it is given and what it can do."""

    def __init__(self, model_data: str) -> None:
        say("model_data", model_data)
        say("user", os.getuid())
        with open("/proc/self/status") as status:
            say("capabilities", *(line.split()[1] for line in status if line.startswith("CapEff")))
        say("open files", sorted(os.listdir("/proc/self/fd")))
        for name, value in sorted(os.environ.items()):
            say("variable", name, value)
        for path in ("/tmp/new", "/new", "/code/new", "/model/new"):
            try:
                with open(path, "w"):
                    say("written", path)
            except OSError as error:
                say("refused", path, error.strerror)
        super().__init__(model_data)


class Imports(Serves):
    """Says which packages it finds."""

    def __init__(self, model_data: str) -> None:
        for name, shows in (("greeting", "WORD"), ("pytest", "__version__")):
            try:
                say(name, getattr(importlib.import_module(name), shows))
            except ImportError:
                say(name, "is missing")
        super().__init__(model_data)
