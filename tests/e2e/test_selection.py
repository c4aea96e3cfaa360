"""Selection with real daemons: what is shown, changed, logged, replayed, fitted, and shared."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clipper.admin.client import ClipperConnection, ClipperRefused
from tests.fakes.clipperd import Clipperd, clipperd, script
from tests.fakes.needs import missing
from tests.fakes.redis_server import RedisServer
from tests.fakes.watching import until

JUDGES = Path(__file__).parents[1] / "fakes" / "judges.py"
OWN = '''
from clipper.selection.policy import SelectionPolicy

class Last(SelectionPolicy):
    """Always the model that was linked last."""

    name = "last"

    def shares(self, state, models):
        return [0.0] * (len(models) - 1) + [1.0]
'''
DATA = tempfile.TemporaryDirectory(prefix="judges-")
Admin = Callable[..., str]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "mine.py").write_text(OWN)
    return {"policies_dir": folder, "decision_log": folder / "decisions.jsonl"}


@pytest.fixture
def admin(daemon: Clipperd) -> Admin:
    """Run clipper-admin; what it printed on stdout."""
    urls = {"CLIPPER_URL": daemon.url, "CLIPPER_QUERY_URL": daemon.query_url}

    def run(*arguments: str) -> str:
        command = [*script("clipper-admin", "clipper.admin.cli"), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=daemon.environment | urls,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def deploy(clipper: ClipperConnection, name: str, version: str = "1", **what: Any) -> None:
    """A model that always says the same, or another one of the judges."""
    kind, value = next(iter(what.items()))
    data = Path(DATA.name, f"{name}-{version}.json")
    data.write_text(json.dumps(value))
    path = f"{JUDGES}:{kind}"
    clipper.deploy_model(name, version, "floats", path, framework="python", model_data=str(data))


def application(clipper: ClipperConnection, policy: Any, *models: str, **more: Any) -> None:
    clipper.register_application("app", "floats", "-1", 5_000_000, selection_policy=policy, **more)
    for model in models:
        clipper.link_model_to_app("app", model)


def test_how_models_stand_and_who_is_worse(
    daemon: Clipperd, clipper: ClipperConnection, admin: Admin
) -> None:
    for name, value in (("good", 1), ("bad", 2)):
        deploy(clipper, name, Says=value)
    application(clipper, "exp4", "good", "bad")
    for number in range(60):
        answer = clipper.predict("app", [float(number)], context="ann")
        assert clipper.feedback("app", 1, query_id=answer.query_id).learned
    learned = clipper.get_selection_state("app", "ann")
    good, bad = learned["models"]
    assert good["share"] > 0.9
    assert (good["loss"], bad["loss"]) == (0.0, 1.0)
    assert (good["is_worse"], bad["is_worse"]) == (False, True)
    shown = admin("app", "selection", "app", "--context", "ann")
    assert "surely worse" in shown
    assert "good:1 is the best: the difference is significant" in shown
    assert "No feedback has come yet" in admin("app", "selection", "app", "--context", "bob")
    answers = daemon.metrics("clipper_selection_answers_total")
    assert answers["app", "good", "exp4", "1"] == 60
    assert daemon.metrics("clipper_selection_loss_total")["app", "bad", "exp4", "1"] == 60


def test_a_policy_of_ones_own_in_a_file(clipper: ClipperConnection) -> None:
    for name, value in (("one", 1), ("two", 2)):
        deploy(clipper, name, Says=value)
    application(clipper, "mine:Last", "one", "two")
    assert clipper.predict("app", [1.0]).output == 2
    with pytest.raises(ClipperRefused, match="There is no file yours"):
        clipper.set_selection_policy("app", "yours:Last")


def test_a_canary_that_fails_is_rolled_back_and_one_that_is_better_promoted(
    clipper: ClipperConnection, admin: Admin
) -> None:
    deploy(clipper, "m", Says=1)
    application(clipper, "exp3", "m")
    clipper.deploy_model("m", "2", "floats", f"{JUDGES}:Fails", framework="python")
    clipper.set_model_version("m", "1")
    deploy(clipper, "m", "3", Says=2)
    clipper.set_model_version("m", "1")
    for version, label, verdict, served in (("2", 1, "rolled back", 1), ("3", 2, "promoted", 2)):
        policy = {"name": "canary", "candidate": f"m:{version}", "share": 0.5, "patience": 20}
        admin("app", "set-policy", "app", json.dumps(policy))
        for number in range(1500):
            answer = clipper.predict("app", [float(number)])
            clipper.feedback("app", label, query_id=answer.query_id)
            if clipper.get_selection_state("app")["verdict"]:
                break
        until(partial(has_come_to, clipper, verdict), 5, verdict)
        assert f"The trial is over: {verdict}" in admin("app", "selection", "app")
        assert {clipper.predict("app", [float(n)]).output for n in range(20)} == {served}


def has_come_to(clipper: ClipperConnection, verdict: str) -> bool:
    return bool(clipper.get_selection_state("app")["verdict"] == verdict)


def test_what_was_decided_can_be_replayed_with_another_policy(
    settings: dict[str, Any], clipper: ClipperConnection, admin: Admin
) -> None:
    for name, value in (("right", 1), ("wrong", 2)):
        deploy(clipper, name, Says=value)
    clipper.register_application("logged", "floats", "-1", 5_000_000, selection_policy="ab")
    for name in ("right", "wrong"):
        clipper.link_model_to_app("logged", name)
    for number in range(100):
        answer = clipper.predict("logged", [float(number)])
        clipper.feedback("logged", 1, query_id=answer.query_id)
    log = Path(settings["decision_log"])

    def lines() -> list[dict[str, Any]]:
        rows = map(json.loads, log.read_text().splitlines())
        return [row for row in rows if row["app"] == "logged"]

    until(lambda: len(lines()) == 100, 5, "the log")
    assert {row["propensity"] for row in lines()} == {0.5}
    right, wrong = json.loads(
        admin(
            *("replay", str(log), "--app", "logged", "--json"),
            *("--policy", '{"name": "ab", "split": {"right": 1}}'),
            *("--policy", '{"name": "ab", "split": {"wrong": 1}}'),
        )
    )
    assert right["loss"] == 0.0
    assert wrong["loss"] == 1.0
    assert "exp3" in admin("replay", str(log), "--app", "logged", "--policy", "exp3")


def examples(file: Path, count: int) -> Path:
    """Numbers, and whether the one that is told by their size is above 0."""
    random = Random(1)
    lines = []
    for _ in range(count):
        x, y = random.gauss(0, 2), random.gauss(0, 1)
        label = int(x > 0)
        lines.append(json.dumps({"input": [x, y], "label": label}))
    file.write_text("\n".join(lines))
    return file


def test_a_cascade_is_fitted_shown_and_applied(
    clipper: ClipperConnection, admin: Admin, tmp_path: Path
) -> None:
    deploy(clipper, "cheap", Guesses=1.0)
    deploy(clipper, "dear", Guesses=0.0)
    application(clipper, "exp4", "cheap", "dear")
    data = examples(tmp_path / "held-out.jsonl", 1500)
    found, again = (
        json.loads(admin("app", "fit-cascade", "app", "--data", str(data), "--json"))
        for _ in range(2)
    )
    assert len(found["models"]) == 2
    first, second = ([one["cost"] for one in run["alone"]] for run in (found, again))
    assert second == pytest.approx(first, rel=0.2), "what is cached by then costs no less"
    assert clipper.get_all_apps() == ["app"], "nothing is left behind"
    policy = {"name": "cascade", "models": ["cheap", "dear"], "thresholds": [0.3]}
    clipper.set_selection_policy("app", policy)
    assert clipper.predict("app", [5.0, 0.0]).raw["models"] == ["cheap:1"]
    assert clipper.predict("app", [0.5, 0.0]).raw["models"] == ["cheap:1", "dear:1"]


def test_feedback_names_a_query_of_before_a_crash_and_counts_once(tmp_path: Path) -> None:
    with clipperd(tmp_path) as daemon, daemon.connect() as clipper:
        deploy(clipper, "m", Says=1)
        application(clipper, "exp3", "m")
        ids = [clipper.predict("app", [float(number)]).query_id for number in range(20)]
        assert clipper.feedback("app", 1, query_id=ids[0]).learned
        time.sleep(0.5)
        daemon.kill()
        daemon.start()
        assert clipper.feedback("app", 1, query_id=ids[1]).learned
        for query_id in ids[:2]:
            assert not clipper.feedback("app", 1, query_id=query_id).learned
        assert clipper.get_selection_state("app")["models"][0]["judged"] == 2


def test_what_was_learned_before_a_crash_is_not_learned_again(tmp_path: Path) -> None:
    with clipperd(tmp_path) as daemon, daemon.connect() as clipper:
        deploy(clipper, "m", Says=1)
        application(clipper, "exp3", "m")
        ids = [clipper.predict("app", [float(number)]).query_id for number in range(300)]
        time.sleep(0.5)
        taught = [clipper.feedback("app", 1, query_id=query_id).learned for query_id in ids]
        assert taught == [True] * 300
        daemon.kill()
        daemon.start()
        again = [clipper.feedback("app", 1, query_id=query_id).learned for query_id in ids]
        assert again == [False] * 300
        assert clipper.get_selection_state("app")["models"][0]["judged"] == 300


def test_nobody_is_served_by_a_model_because_nobody_can_judge_it(
    clipper: ClipperConnection,
) -> None:
    deploy(clipper, "sound", Says=0.4)
    deploy(clipper, "wild", Says=57.0)
    deploy(clipper, "broken", Fails=0)
    application(clipper, "exp3", "sound", "wild", "broken", loss="absolute")
    for number in range(200):
        # The label may be at fault, until one like it has judged an output.
        with contextlib.suppress(ClipperRefused):
            clipper.feedback("app", 0.2, input=[float(number)])
    shares = {one["model"]: one["share"] for one in clipper.get_selection_state("app")["models"]}
    assert shares["sound:1"] > 0.6


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store for two daemons."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.db'}"
        return
    if shutil.which("redis-server") is None:
        missing("redis", "there is no redis-server")
    server = RedisServer(tmp_path)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def two(shared: str, tmp_path: Path) -> Iterator[tuple[ClipperConnection, ClipperConnection]]:
    """Clients of two daemons on one store."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        clipperd(tmp_path / "one", store=shared) as one,
        clipperd(tmp_path / "other", store=shared) as other,
        one.connect() as first,
        other.connect() as second,
    ):
        yield first, second
        for name in first.get_all_apps():
            first.unregister_application(name)
        first.stop_all_model_containers()


def has_learned(clipper: ClipperConnection, lessons: int) -> bool:
    """Whether so much is known of the first model."""
    try:
        models = clipper.get_selection_state("app")["models"]
    except ClipperRefused:
        return False
    return bool(models and models[0]["judged"] == lessons)


def test_what_one_daemon_learns_the_other_knows_within_a_tenth_of_a_second(
    two: tuple[ClipperConnection, ClipperConnection],
) -> None:
    first, second = two
    deploy(first, "m", Says=1)
    application(first, "exp3", "m")

    until(lambda: has_learned(second, 0), 10, "the application at the other daemon")
    until(lambda: not second.predict("app", [1.0]).is_default, 20, "its replica")
    delays = []
    for number in range(1, 11):
        answer = first.predict("app", [float(number)])
        first.feedback("app", 1, query_id=answer.query_id)
        began = time.monotonic()
        until(partial(has_learned, second, number), 5, "the lesson at the other daemon")
        delays.append(time.monotonic() - began)
    assert sorted(delays)[5] < 0.15, "a twentieth of a second and the look itself"


def test_of_feedback_to_both_daemons_at_once_nothing_is_lost_or_counted_twice(
    two: tuple[ClipperConnection, ClipperConnection],
) -> None:
    first, second = two
    deploy(first, "m", Says=1)
    application(first, "exp4", "m")
    until(lambda: has_learned(second, 0), 10, "the application at the other daemon")
    until(lambda: not second.predict("app", [1.0]).is_default, 20, "its replica")

    def teach(seed: int) -> int:
        """Every third query's feedback goes to the daemon that has not answered it, and then to
        the one that has."""
        learned, asked = 0, two[seed % 2]
        with (
            ClipperConnection(asked.admin.url, asked.query.url) as own,
            ClipperConnection(two[1 - seed % 2].admin.url, two[1 - seed % 2].query.url) as others,
        ):
            for number in range(50):
                answer = own.predict("app", [float(seed), float(number)], context="ann")
                for told in (own, own) if number % 3 else (others, own):
                    learned += told.feedback("app", 1, query_id=answer.query_id).learned
        return learned

    with ThreadPoolExecutor(4) as pool:
        teachers = [pool.submit(teach, seed) for seed in range(4)]
        assert [teacher.result() for teacher in teachers] == [50] * 4
    time.sleep(0.2)
    for clipper in two:
        (standing,) = clipper.get_selection_state("app", "ann")["models"]
        assert standing["judged"] == 200
