"""Serving as its users see it: trained models, every input type, versions, replicas, feedback."""

import base64
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import MODELS, Clipperd, serve
from tests.fakes.load import load

ECHO = f"{MODELS}:Troublemaker"
LIAR = f"{MODELS}:Liar"
DESCRIBES = f"{MODELS.with_name('sdk_models.py')}:Describes"
HELD_OUT = 500
PATIENT_US = 10_000_000


class Digits(NamedTuple):
    """Two trained classifiers, what each says of the held-out images, and what these show."""

    paths: dict[str, Path]
    answers: dict[str, list[int]]
    images: Any
    labels: Any


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    folder, data = tmp_path_factory.mktemp("digits"), load_digits()
    images, labels = data.data[:HELD_OUT], data.target[:HELD_OUT]
    paths, answers = {}, {}
    for version, model in {"1": GaussianNB(), "2": SVC(gamma=0.001)}.items():
        model.fit(data.data[HELD_OUT:], data.target[HELD_OUT:])
        paths[version] = folder / f"{version}.joblib"
        joblib.dump(model, paths[version])
        answers[version] = model.predict(images).tolist()
    return Digits(paths, answers, images, labels)


def serve_type(clipper: ClipperConnection, name: str, input_type: str) -> None:
    """An application and a model that says what it is given, linked."""
    clipper.register_application(name, input_type, '"default"', PATIENT_US)
    clipper.deploy_model(name, 1, input_type, DESCRIBES, framework="python")
    clipper.link_model_to_app(name, name)


def outputs(clipper: ClipperConnection, digits: Digits, version: str | None = None) -> list[Any]:
    answers = clipper.predict_batch("digits", digits.images, version=version)
    assert not any(answer.is_default for answer in answers)
    return [answer.output for answer in answers]


def test_trained_models_answer_as_they_do_at_home_and_roll_back(
    clipper: ClipperConnection, digits: Digits
) -> None:
    clipper.register_application("digits", "doubles", "-1", PATIENT_US)
    clipper.deploy_model("digits", 1, "doubles", str(digits.paths["1"]))
    clipper.link_model_to_app("digits", "digits")
    assert outputs(clipper, digits) == digits.answers["1"]
    clipper.deploy_model("digits", 2, "doubles", str(digits.paths["2"]))
    assert outputs(clipper, digits) == digits.answers["2"]
    assert outputs(clipper, digits, version="1") == digits.answers["1"]
    assert np.mean(outputs(clipper, digits) == digits.labels) > 0.9
    clipper.set_model_version("digits", 1)
    assert outputs(clipper, digits) == digits.answers["1"]
    assert clipper.get_current_model_version("digits") == "1"


@pytest.mark.parametrize(
    ("input_type", "input", "seen"),
    [
        ("integers", [1, -2], "ndarray int32 [2]"),
        ("floats", [1, 2.5], "ndarray float32 [2]"),
        ("doubles", [1, 2.5], "ndarray float64 [2]"),
        ("doubles", [], "ndarray float64 [0]"),
        ("floats", [[1, 2, 3], [4, 5, 6]], "ndarray float32 [2, 3]"),
        ("integers", [[[1], [2]], [[3], [4]]], "ndarray int32 [2, 2, 1]"),
        ("strings", "größer\n", "list str 'größer\\n'"),
        ("strings", "", "list str ''"),
        ("bytes", base64.b64encode(b"\0\xff").decode(), "list bytes b'\\x00\\xff'"),
        ("json", {"a": [1, None, "x"]}, "list dict {'a': [1, None, 'x']}"),
        ("json", None, "list NoneType None"),
    ],
)
def test_every_input_type_reaches_the_model_as_it_should(
    clipper: ClipperConnection, input_type: str, input: Any, seen: str
) -> None:
    serve_type(clipper, "typed", input_type)
    assert clipper.predict("typed", input).output == seen


def test_inputs_of_one_batch_may_differ_and_answers_keep_their_order(
    clipper: ClipperConnection,
) -> None:
    serve_type(clipper, "mixed", "floats")
    answers = clipper.predict_batch("mixed", [[1], [1, 2], [[1, 2]], []])
    assert [answer.output.split(" ", 1)[1] for answer in answers] == [
        "float32 [1]",
        "float32 [2]",
        "float32 [1, 2]",
        "float32 [0]",
    ]
    assert len({answer.query_id for answer in answers}) == len(answers)


def test_scaling_under_load_loses_no_query(daemon: Clipperd, clipper: ClipperConnection) -> None:
    serve(clipper, "scaled")
    with load(daemon.query_port, "scaled", callers=6) as seen:
        for replicas in (3, 1, 2, 1, 3, 1):
            clipper.set_num_replicas("scaled", replicas, timeout_s=30)
            seen.await_answers(50)
    assert seen.kinds() == {"model": len(seen.answers)}, seen.explanations()
    assert seen.broken == seen.refused == 0
    assert daemon.outcomes("scaled") == {"answered": len(seen.answers)}


def test_scaling_to_nothing_and_back(clipper: ClipperConnection) -> None:
    serve(clipper, "asleep", num_replicas=2)
    assert clipper.predict("asleep", "known").output == "known"
    clipper.set_num_replicas("asleep", 0)
    assert clipper.predict("asleep", "known").output == "known"  # from the cache
    answer = clipper.predict("asleep", "new")
    assert answer.explanation.startswith("No connected models found for query")
    clipper.set_num_replicas("asleep", 1)
    assert clipper.predict("asleep", "new").output == "new"


def test_deploying_and_rolling_back_under_load_loses_no_query(
    daemon: Clipperd, clipper: ClipperConnection
) -> None:
    serve(clipper, "rolled")
    with load(daemon.query_port, "rolled", callers=6) as seen:
        clipper.deploy_model("rolled", 2, "json", ECHO, framework="python")
        for version in ("1", "2", "1"):
            clipper.set_model_version("rolled", version)
            assert clipper.predict("rolled", ["v", version]).raw["models"] == [f"rolled:{version}"]
        clipper.stop_versioned_models({"rolled": ["2"]})
    assert seen.kinds() == {"model": len(seen.answers)}, seen.explanations()
    assert seen.broken == seen.refused == 0
    assert {tuple(one.body["models"]) for one in seen.answers} == {("rolled:1",), ("rolled:2",)}


def test_a_deleted_version_may_come_again_as_another_model(clipper: ClipperConnection) -> None:
    serve(clipper, "again")
    assert clipper.predict("again", "x").output == "x"
    clipper.stop_versioned_models({"again": ["1"]})
    assert clipper.predict("again", "x").output == "default"
    clipper.deploy_model("again", 1, "json", LIAR, framework="python")
    assert clipper.predict("again", "x").output == "a lie"  # nothing of the old cache


def learn(clipper: ClipperConnection, context: str, truth: str, rounds: int) -> float:
    """Ask and tell the truth; returns the share of the honest model in the last third."""
    honest: list[bool] = []
    for number in range(rounds):
        input = f"{context} {number}"
        answer = clipper.predict("chosen", input, context=context)
        assert not answer.is_default
        honest.append(answer.raw["models"] == ["honest:1"])
        label = input if truth == "honest" else "a lie"
        told = clipper.feedback("chosen", label, query_id=answer.query_id, context=context)
        assert told.learned
    return sum(honest[-rounds // 3 :]) / (rounds // 3)


def test_feedback_moves_the_share_of_each_context_to_the_model_that_is_right(
    clipper: ClipperConnection,
) -> None:
    policy = {"name": "exp3", "eta": 0.3}
    clipper.register_application(
        "chosen", "strings", "", PATIENT_US, selection_policy=policy, loss="zero_one"
    )
    for name, path in {"honest": ECHO, "liar": LIAR}.items():
        clipper.deploy_model(name, 1, "strings", path, framework="python")
        clipper.link_model_to_app("chosen", name)
    assert learn(clipper, "ann", "honest", 120) > 0.85
    assert learn(clipper, "bob", "liar", 120) < 0.15
    weights = {
        context: clipper.get_selection_state("chosen", context)["state"]["log_weights"]
        for context in ("ann", "bob", "never seen")
    }
    assert weights["ann"]["honest:1"] > weights["ann"]["liar:1"]
    assert weights["bob"]["honest:1"] < weights["bob"]["liar:1"]
    assert weights["never seen"] == {}
