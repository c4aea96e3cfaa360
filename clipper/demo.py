"""`make demo`: two trained models behind a daemon, asked, compared, and left running to be tried.

Two scikit-learn classifiers of handwritten digits become versions 1 and 2 of one model. The images
that are sent were held out from training. The daemon keeps its files in a directory of its own,
which goes when the demo ends.
"""

import argparse
import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from clipper.admin.client import ClipperConnection
from clipper.admin.errors import ClipperUnreachable

MODEL, APP = "digits-model", "digits"
SLO_MS = 100
AT_ONCE = 32
START_S = 30.0

console = Console(highlight=False)


class DemoFailed(Exception):
    """A check of the demo did not hold."""


@dataclass(frozen=True, slots=True)
class Digits:
    """The data: images of 8 x 8 pixels as float64[images, 64], and which digit each shows."""

    train_images: Any
    train_labels: Any
    images: Any
    labels: Any


@dataclass(frozen=True, slots=True)
class Round:
    """What sending every held-out image to a version showed."""

    accuracy: float
    defaults: int
    latencies_ms: Sequence[float]
    batch_sizes: dict[str, int]
    """How many batches, by the upper bound of their size."""


def main() -> None:
    """Run the demo; exit with 1 where a check fails."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the checks")
    parser.add_argument("--manager", choices=("process", "docker"), default="process")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="clipper-demo-") as folder:
            run(Path(folder), options.manager, stay=not options.once)
    except DemoFailed as error:
        console.print(f"[red]The demo failed:[/red] {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nStopped.")


def run(folder: Path, manager: str, *, stay: bool) -> None:
    """Train, start, deploy, ask, compare; then stay until interrupted."""
    digits = load_digits()
    models = train(digits, folder)
    with clipperd(folder) as (query_url, admin_url):
        connection = ClipperConnection(admin_url, query_url)
        console.print(f"clipperd: queries at {query_url}\n  administration at {admin_url}")
        rounds = {}
        connection.register_application(APP, "doubles", "-1", SLO_MS * 1000)
        for version, (name, path) in models.items():
            started = time.monotonic()
            connection.deploy_model(MODEL, version, "doubles", str(path), manager=manager)
            took_s = time.monotonic() - started
            console.print(f"Deployed {name} as {MODEL}:{version} in {took_s:.1f} s")
            if version == "1":
                connection.link_model_to_app(APP, MODEL)
            rounds[version] = ask_all(connection, admin_url, digits, version)
        report(models, rounds)
        check(rounds)
        try_feedback_and_cache(connection, digits)
        print_commands(query_url, admin_url, digits)
        if stay:
            console.print("\nThe daemon stays up. Ctrl-C ends it.")
            signal.pause()
    console.print("All checks of the demo hold.")


def load_digits() -> Digits:
    """The digits that scikit-learn ships, a third of them held out."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    data = load()
    split = train_test_split(data.data, data.target, test_size=1 / 3, random_state=7)
    train_images, images, train_labels, labels = split
    return Digits(train_images, train_labels, images, labels)


def train(digits: Digits, folder: Path) -> dict[str, tuple[str, Path]]:
    """Train and save two classifiers: version to what it is and where it lies."""
    import joblib
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import SVC

    models = {}
    for version, model in {"1": GaussianNB(), "2": SVC(gamma=0.001)}.items():
        model.fit(digits.train_images, digits.train_labels)
        path = folder / f"digits-{version}.joblib"
        joblib.dump(model, path)
        path.chmod(0o644)
        models[version] = (type(model).__name__, path)
    folder.chmod(0o755)
    console.print(f"Trained {' and '.join(name for name, _ in models.values())} on digits")
    return models


@contextlib.contextmanager
def clipperd(folder: Path) -> Iterator[tuple[str, str]]:
    """A daemon of the demo's own; yields its two URLs."""
    query_port, admin_port = (_port(preferred) for preferred in (1337, 1338))
    log = folder / "clipperd.log"
    command = [sys.executable, "-m", "clipper.daemon", "--data-dir", str(folder / "data")]
    command += ["--query-port", str(query_port), "--admin-port", str(admin_port)]
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stderr=output, start_new_session=True)
    try:
        urls = [f"http://127.0.0.1:{port}" for port in (query_port, admin_port)]
        _await_daemon(daemon, urls[1], log)
        yield urls[0], urls[1]
        daemon.terminate()
        if daemon.wait(timeout=60) != 0:
            raise DemoFailed(f"clipperd ended with {daemon.returncode}:\n{log.read_text()}")
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            daemon.wait(timeout=60)


def _port(preferred: int) -> int:
    """The preferred port if it is free, else some free one."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            chosen: int = probe.getsockname()[1]
            return chosen
    raise DemoFailed("There is no free port on 127.0.0.1.")


def _await_daemon(daemon: "subprocess.Popen[bytes]", admin_url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{admin_url}/health/ready").status_code == httpx.codes.OK:
                return
        time.sleep(0.05)
    raise DemoFailed(f"clipperd did not start:\n{log.read_text()}")


def ask_all(connection: ClipperConnection, admin_url: str, digits: Digits, version: str) -> Round:
    """Send every held-out image, several in a request, and compare the answers with the labels."""
    predictions = []
    for start in range(0, len(digits.images), AT_ONCE):
        images = digits.images[start : start + AT_ONCE]
        predictions += connection.predict_batch(APP, images, explain=True)
    right = sum(p.output == label for p, label in zip(predictions, digits.labels, strict=True))
    defaults = sum(prediction.is_default for prediction in predictions)
    latencies_ms = [prediction.raw["timing"]["total_ms"] for prediction in predictions]
    sizes = _batch_sizes(admin_url, version)
    return Round(right / len(predictions), defaults, latencies_ms, sizes)


def _batch_sizes(admin_url: str, version: str) -> dict[str, int]:
    """How many batches of which size a version has had, from the daemon's metrics."""
    sizes: dict[str, int] = {}
    below, low = 0, 1
    for family in text_string_to_metric_families(httpx.get(f"{admin_url}/metrics").text):
        for sample in family.samples:
            of_model = sample.labels.get("model") == MODEL
            if sample.name != "clipper_model_batch_size_bucket" or not of_model:
                continue
            if sample.labels["version"] == version:
                bound = sample.labels["le"]
                if sample.value > below:
                    sizes[bound if bound == str(low) else f"{low}-{bound}"] = (
                        int(sample.value) - below
                    )
                below = int(sample.value)
                low = int(bound) + 1 if bound.isdigit() else low
    return sizes


def report(models: dict[str, tuple[str, Path]], rounds: dict[str, Round]) -> None:
    """A table of both versions, and the batches that they were given."""
    sent = len(next(iter(rounds.values())).latencies_ms)
    table = Table(title=f"{sent} held-out images, {AT_ONCE} in a request, SLO {SLO_MS} ms")
    for column in ("version", "model", "accuracy", "defaults", "p50", "p99"):
        table.add_column(column)
    for version, result in rounds.items():
        p50, p99 = (f"{value:.1f} ms" for value in np.percentile(result.latencies_ms, (50, 99)))
        accuracy = f"{result.accuracy:.1%}"
        table.add_row(version, models[version][0], accuracy, str(result.defaults), p50, p99)
    console.print(table)
    console.print("Latency is the daemon's own, from arrival to answer. Batches, by size:")
    for version, result in rounds.items():
        sizes = ", ".join(f"{count} of {size}" for size, count in result.batch_sizes.items())
        console.print(f"  version {version}: {sizes}", soft_wrap=True)


def check(rounds: dict[str, Round]) -> None:
    """What must be true of the rounds.

    Raises:
        DemoFailed: it is not.
    """
    first, second = rounds["1"], rounds["2"]
    for version, result in rounds.items():
        if result.defaults:
            raise DemoFailed(f"version {version} left {result.defaults} queries to the default")
    if first.accuracy < 0.75 or second.accuracy < 0.95:
        raise DemoFailed(f"accuracies are {first.accuracy:.1%} and {second.accuracy:.1%}")


def try_feedback_and_cache(connection: ClipperConnection, digits: Digits) -> None:
    """Feedback is taken, an image asked about again is in the cache, and versions can be named.

    Raises:
        DemoFailed: one of it is not so.
    """
    image, label = digits.images[0], int(digits.labels[0])
    again = connection.predict(APP, image, explain=True)
    if again.raw["cache"] != "exact":
        raise DemoFailed(f"an image asked about again was not in the cache: {again.raw}")
    connection.feedback(APP, label, query_id=again.query_id)
    connection.set_model_version(MODEL, "1")
    if connection.predict(APP, image).raw["models"] != [f"{MODEL}:1"]:
        raise DemoFailed("rolling back to version 1 had no effect")
    connection.set_model_version(MODEL, "2")


def print_commands(query_url: str, admin_url: str, digits: Digits) -> None:
    """Lines to copy."""
    image, label = [int(pixel) for pixel in digits.images[0]], int(digits.labels[0])
    query, truth = json.dumps({"input": image}), json.dumps({"input": image, "label": label})
    console.print(f"\nTry it (this image shows a {label}):\n")
    for line in (
        f"curl -s '{query_url}/{APP}/predict?explain=1' -d '{query}'",
        f"curl -s {query_url}/{APP}/feedback -d '{truth}'",
        f"curl -s {admin_url}/api/v1/models",
        f"curl -s {admin_url}/metrics",
        f".venv/bin/clipper-admin --url {admin_url} status",
        f".venv/bin/clipper-admin --url {admin_url} model show {MODEL}",
    ):
        print(line)  # noqa: T201 -- as it is: wrapped lines cannot be pasted


if __name__ == "__main__":
    try:
        main()
    except ClipperUnreachable as error:
        console.print(f"[red]The demo failed:[/red] {error}")
        sys.exit(1)
