"""`python -m clipper_container TARGET --listen ADDRESS`: load a model, warm it up, serve it.

A model that cannot be loaded ends the process with exit code 1, and with its traceback where the
cause is in code. SIGTERM and SIGINT drain: what was sent is answered, then the process ends with 0;
a second one ends it at once.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

from clipper_container import listening, loading
from clipper_container.arguments import Arguments, parse_arguments
from clipper_container.container import Model
from clipper_container.errors import LoadError
from clipper_container.input_types import agreed
from clipper_container.options import read_options
from clipper_container.server import ModelServer

log = logging.getLogger("clipper_container")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Run one container; returns the exit code."""
    arguments = parse_arguments(sys.argv[1:], os.environ)
    set_up_output()
    try:
        if arguments.ready_file:
            arguments.ready_file.unlink(missing_ok=True)
        listening.prepare(arguments.server.listen)
        model = prepare_model(arguments)
        asyncio.run(serve(model, arguments))
    except (LoadError, listening.ListenError) as error:
        log.error("%s", error)
        return 1
    except Exception:
        log.exception("%s could not be served", arguments.label)
        return 1
    return 0


def set_up_output() -> None:
    """Whole lines at once, whatever the locale: somebody reads them through a pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    faulthandler.enable()  # a crash in native code leaves its Python stack in the log


def prepare_model(arguments: Arguments) -> Model:
    """Load and warm up."""
    log.info("Loading %s", arguments.label)
    model = loading.load(arguments.target, arguments.model_data, read_options(os.environ))
    loading.warm_up(model)
    # What is loaded stays: spare every full collection, and so some query, from looking through it.
    gc.collect()
    gc.freeze()
    return model


async def serve(model: Model, arguments: Arguments) -> None:
    """Serve until the process is asked to end; returns when all is answered."""
    accepted = agreed(model, arguments.server.input_type)
    server = ModelServer(model, replace(arguments.server, input_type=accepted))
    asked_to_end = on_signals()
    address = await server.start()
    try:
        if arguments.ready_file:
            write_whole(arguments.ready_file, f"{address}\n")
        log.info("Serving %s on %s", arguments.label, address)
        await asked_to_end.wait()
    finally:
        if arguments.ready_file:
            arguments.ready_file.unlink(missing_ok=True)
    log.info("Draining %s", arguments.label)
    await server.drain()


def on_signals() -> asyncio.Event:
    """An event that the first signal sets; the second finds its default action restored."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def ask() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        asked.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, ask)
    return asked


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever sees it sees all of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
