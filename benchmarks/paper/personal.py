"""Figure 10: personalisation by groups, and what a few feedbacks of one user are worth.

Through the daemon over REST: groups of users read some digits otherwise (two classes are swapped,
others in each group); each group has a model, trained on its own labels. Users are asked for digits
and correct each answer. The error is over all users, by how many corrections they have sent.
"""

import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import joblib
import numpy as np
from daemon import Daemon, clipperd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from clipper.admin.client import ClipperConnection
from paper.asking import User, play
from paper.figure import Figure, Line

GROUPS = 5
FEEDBACKS = 8
CONTEXTUAL: dict[str, dict[str, Any]] = {
    "exp4": {"name": "exp4", "eta": 1.0},
    "linear": {"name": "linear"},
}
PAPER = (0.362, 0.312, 0.312, 0.309, 0.304, 0.305, 0.306, 0.302, 0.300)


def swapped(group: int) -> Any:
    """What each digit is called in a group."""
    names = np.arange(10)
    one, other = 2 * group, 2 * group + 1
    names[[one, other]] = names[[other, one]]
    shifted = (group + 1) * 2 % 10
    names[[shifted, (shifted + 3) % 10]] = names[[(shifted + 3) % 10, shifted]]
    return names


def run(quick: bool) -> Figure:
    """Play it."""
    users = 20 if quick else 300
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.5, random_state=1)
    with tempfile.TemporaryDirectory() as folder, clipperd("--store", "memory://") as daemon:
        deploy(daemon, Path(folder), train_x, train_y)
        curves = {}
        for app in (*CONTEXTUAL, "majority", "own"):
            scripts = [script(app, number, test_x, test_y) for number in range(users)]
            wrong = play(daemon.query, scripts)
            curves[app] = [mean(row[k] for row in wrong) for k in range(FEEDBACKS + 1)]
    lines = [
        Line(
            f"after {k} feedbacks",
            f"{PAPER[k]:.3f}",
            f"{curves['exp4'][k]:.3f}",
            f"linear {curves['linear'][k]:.3f}",
        )
        for k in range(FEEDBACKS + 1)
    ]
    lines += [
        Line("no dialect", "0.362", f"{mean(curves['majority']):.3f}", "majority of all groups"),
        Line("dialect is known", "0.321", f"{mean(curves['own']):.3f}", "the own group's model"),
    ]
    return Figure(
        "personal",
        f"Figure 10: error by feedbacks of a user ({users} users of {GROUPS} groups)",
        lines,
        "The paper has TIMIT's 168 speakers and dialects, where the groups differ little and the "
        "error stays high; here they differ in four digits of ten, so that there is more to "
        "learn. In both most of it is learned from the first few corrections.",
        {"curves": curves},
        lambda axes: draw(axes, curves),
    )


def deploy(daemon: Daemon, folder: Path, x: Any, y: Any) -> None:
    """A model for each group; applications that learn per user, or do not."""
    connection = ClipperConnection(daemon.admin, daemon.query)
    for group in range(GROUPS):
        model = LogisticRegression(max_iter=2000).fit(x, swapped(group)[y])
        file = folder / f"group{group}.joblib"
        joblib.dump(model, file)
        connection.deploy_model(f"group{group}", "1", "doubles", str(file))
        connection.register_application(f"own{group}", "doubles", "-1", 10_000_000)
        connection.link_model_to_app(f"own{group}", f"group{group}")
    for app, policy in {**CONTEXTUAL, "majority": {"name": "majority"}}.items():
        connection.register_application(app, "doubles", "-1", 10_000_000, selection_policy=policy)
        for group in range(GROUPS):
            connection.link_model_to_app(app, f"group{group}")


def script(app: str, number: int, x: Any, y: Any) -> Any:
    """One user's digits: whether each answer was wrong."""
    group, rng = number % GROUPS, np.random.default_rng(number)
    chosen = rng.choice(len(y), FEEDBACKS + 1, replace=False)
    labels = swapped(group)[y[chosen]].tolist()
    inputs = x[chosen].tolist()
    name = f"own{group}" if app == "own" else app

    async def ask(user: User) -> list[bool]:
        wrong = []
        for input, label in zip(inputs, labels, strict=True):
            answer = await user.predict(name, input, context=f"user-{number}")
            wrong.append(answer["output"] != label)
            if app in CONTEXTUAL:
                await user.teach(name, answer["query_id"], label)
        return wrong

    return ask


def draw(axes: Any, curves: dict[str, list[float]]) -> None:
    """Error over feedbacks."""
    for name, curve in curves.items():
        axes.plot(range(len(curve)), curve, marker="o", label=name)
    axes.plot(range(len(PAPER)), PAPER, "k--", label="paper (TIMIT)")
    axes.set_xlabel("corrections sent before")
    axes.set_ylabel("share of wrong answers")
    axes.set_ylim(bottom=0)
    axes.legend()
