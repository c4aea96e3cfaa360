"""Who is overloaded: the daemon as it is, and with older rules; and with which models."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
from daemon import Daemon, clipperd
from peers.payload import Payload, plain
from report import RESULTS
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from clipper.admin.client import ClipperConnection

DISCIPLINES = Path(__file__).with_name("disciplines.py")
SLEEPING = Path(__file__).parents[1] / "models" / "sleeping.py"
ADAPTS = -1
"""The size of batches is found."""
TREES = 100
BRIGHTEST = 16
ALL = "1000000"
"""A queue that is never full."""


@dataclass(frozen=True, slots=True)
class System:
    """A rule by which queues are served, and the size of batches."""

    name: str
    rule: str
    """One of `disciplines.py`; empty: the daemon's own."""
    batch_size: int = ADAPTS

    @property
    def keeps_all(self) -> bool:
        """Whether it answers even those whose deadline has passed."""
        return self.rule == "fifo"


OURS = System("Clipper", "")
SYSTEMS = (
    System("no batching, expired dropped", "expired", batch_size=1),
    System("AIMD, FIFO", "fifo"),
    System("AIMD, FIFO, expired dropped", "expired"),
    OURS,
)
MODELS = ("sleeping", "forest")
APPS_S = {"strict": 0.05, "patient": 0.25}
"""Applications, and their SLOs in seconds. Batches are sized for the strictest that is linked."""


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that serves one model to one application or more."""

    daemon: Daemon
    model: str

    def payload(self, app: str) -> Payload:
        """Requests to an application."""
        return Payload(f"/{app}/predict", plain(self.model))


@contextlib.contextmanager
def running(system: System, model: str, apps: tuple[str, ...]) -> Iterator[Running]:
    """The daemon, its model deployed and linked."""
    program = (str(DISCIPLINES), system.rule) if system.rule else ("-m", "clipper.daemon")
    with clipperd("--queue-limit", ALL, program=program) as daemon:
        connection = ClipperConnection(daemon.admin, daemon.query)
        framework, path = ("python", f"{SLEEPING}:Sleeping")
        if model == "forest":
            framework, path = "sklearn", str(forest(RESULTS / "cache"))
        for app in apps:
            connection.register_application(app, "floats", "-1", int(APPS_S[app] * 1e6))
        connection.deploy_model(
            "model", 1, "floats", path, framework=framework, batch_size=system.batch_size
        )
        for app in apps:
            connection.link_model_to_app(app, "model")
        yield Running(daemon, model)


def forest(folder: Path) -> Path:
    """A random forest that tells digits apart; made where it is missing."""
    file = folder / "forest.joblib"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        images, labels = load_digits(return_X_y=True)
        classifier = RandomForestClassifier(TREES, random_state=1)
        joblib.dump(classifier.fit(images / BRIGHTEST, labels), file)
    return file
