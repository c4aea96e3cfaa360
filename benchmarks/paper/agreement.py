"""Figure 7: an ensemble's error, and how much agreement says about it.

Through the daemon over REST: five scikit-learn models, each of which sees half of the pixels, drawn
at random, of three hundred digits, and is asked for all others; alone, by majority, by weights
learned from feedback (exp4), and the answers split by how many models agree.
"""

import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from daemon import Daemon, clipperd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from clipper.admin.client import ClipperConnection
from paper.asking import User, play
from paper.figure import Figure, Line

MODELS = {
    "logistic": LogisticRegression(max_iter=2000),
    "discriminant": LinearDiscriminantAnalysis(),
    "machine": SVC(),
    "forest": RandomForestClassifier(20, random_state=0),
    "neighbours": KNeighborsClassifier(3),
}
PIXELS, SEEN, EXAMPLES = 64, 32, 300
ENSEMBLES = ("majority", "exp4")


def run(quick: bool) -> Figure:
    """Play it."""
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, train_size=EXAMPLES, random_state=1)
    if quick:
        test_x, test_y = test_x[:60], test_y[:60]
    with tempfile.TemporaryDirectory() as folder, clipperd("--store", "memory://") as daemon:
        deploy(daemon, Path(folder), train_x, train_y)
        names = [*MODELS, *ENSEMBLES]
        scripts = [script(name, test_x.tolist(), test_y.tolist()) for name in names]
        answers = dict(zip(names, play(daemon.query, scripts), strict=True))
    errors = {name: error(rows) for name, rows in answers.items()}
    best = min(MODELS, key=errors.__getitem__)
    lines = [
        Line(
            "best single model", ".0618 / .0915", f"{errors[best]:.4f}", f"{best}, of {len(MODELS)}"
        ),
        Line("ensemble", ".0586 / .0845", f"{errors['exp4']:.4f}", "exp4, with feedback"),
        Line("ensemble, equal weights", "-", f"{errors['majority']:.4f}", "majority"),
    ]
    for agreeing, paper in ((4, (".0469", ".3182", "95.7 %")), (5, (".0327", ".1983", "84.4 %"))):
        sure, unsure = split(answers["majority"], agreeing / len(MODELS))
        share = len(sure) / len(answers["majority"])
        lines += [
            Line(
                f"{agreeing} agree",
                f"{paper[0]} on {paper[2]}",
                f"{error(sure):.4f} on {share:.1%}",
                "",
            ),
            Line(f"fewer than {agreeing}", paper[1], f"{error(unsure):.4f}", ""),
        ]
    return Figure(
        "agreement",
        f"Figure 7: error of an ensemble on digits ({len(test_y)} examples)",
        lines,
        "The paper has deep networks on ImageNet (top-5 error) and CIFAR-10; these are small "
        "models that see half of a digit each, and so err on different ones: that is what an "
        "ensemble needs. Agreement splits the answers as it does there: the more models agree, "
        "the less often they are wrong. Exp4 moves the weight to the best model, which pays where "
        "one is clearly better (figure 8); here equal weights do better still.",
        {"errors": errors},
        lambda axes: draw(axes, errors),
    )


def deploy(daemon: Daemon, folder: Path, x: Any, y: Any) -> None:
    """Train, deploy, and link."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    random = np.random.default_rng(0)
    for name, model in MODELS.items():
        seen = random.choice(PIXELS, SEEN, replace=False).tolist()
        half = make_pipeline(ColumnTransformer([("seen", "passthrough", seen)]), model)
        joblib.dump(half.fit(x, y), folder / f"{name}.joblib")
        connection.deploy_model(name, "1", "doubles", str(folder / f"{name}.joblib"))
        connection.register_application(name, "doubles", "-1", 10_000_000)
        connection.link_model_to_app(name, name)
    for ensemble in ENSEMBLES:
        connection.register_application(
            ensemble, "doubles", "-1", 10_000_000, selection_policy=ensemble
        )
        for name in MODELS:
            connection.link_model_to_app(ensemble, name)


def script(app: str, inputs: list[Any], labels: list[int]) -> Any:
    """All examples, one after the other: (is wrong, confidence) of each."""

    async def ask(user: User) -> list[tuple[bool, float]]:
        rows = []
        for input, label in zip(inputs, labels, strict=True):
            answer = await user.predict(app, input)
            rows.append((answer["output"] != label, answer["confidence"]))
            if app == "exp4":
                await user.teach(app, answer["query_id"], label)
        return rows

    return ask


def error(rows: list[tuple[bool, float]]) -> float:
    """The share that is wrong."""
    return sum(wrong for wrong, _ in rows) / len(rows) if rows else 0.0


def split(rows: list[tuple[bool, float]], least: float) -> tuple[list[Any], list[Any]]:
    """Those of at least this confidence, and the others."""
    sure = [row for row in rows if row[1] >= least - 1e-9]
    return sure, [row for row in rows if row[1] < least - 1e-9]


def draw(axes: Any, errors: dict[str, float]) -> None:
    """A bar for each."""
    axes.bar(list(errors), list(errors.values()))
    axes.set_ylabel("share of wrong answers")
