"""A stream of feedback that is wrong in every way, beside one that is right: nothing breaks, and
what is right is learned, once."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from clipper.admin.client import ClipperConnection
from tests.fakes.clipperd import Clipperd, clipperd

JUDGES = Path(__file__).parents[1] / "fakes" / "judges.py"
POLICIES = ("exp3", "exp4", "linear", "thompson", "ucb1", "epsilon_greedy", "shadow")
RIGHT = 20
WRONG = 200
DEEP = "[" * 500 + "]" * 500
LABELS = ['"x"', "null", "true", "[]", "[1, 2]", "{}", "-5", "7", "1e300", "1e999", "NaN", DEEP]
IDS = ["-1", "0.5", '"7"', "null", "true", "[]", "999999999999", str(2**70), "1e3"]
CONTEXTS = ['""', "7", "null", '"' + "c" * 5000 + '"', '["ann"]', '"\\ud800"', '"\\u0000"']
BODIES = [b"", b"{", b"[]", b"null", b'"x"', b'{"label": 1}', b'{"input": [1]}', b"\xff\xfe", b"{}"]


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with clipperd(tmp_path, workers=request.param) as daemon:
        yield daemon


def deploy(clipper: ClipperConnection, folder: Path) -> None:
    """Three models that say numbers, one of them nonsense, and an application for each policy."""
    for name, value in (("near", 0.4), ("far", 0.9), ("wild", "no number")):
        data = folder / f"{name}.json"
        data.write_text(json.dumps(value))
        clipper.deploy_model(
            name, "1", "floats", f"{JUDGES}:Says", framework="python", model_data=str(data)
        )
    for policy in POLICIES:
        clipper.register_application(
            policy, "floats", "-1", 5_000_000, selection_policy=policy, loss="absolute"
        )
        for name in ("near", "far", "wild"):
            clipper.link_model_to_app(policy, name)


def wrong(random: Random, known: int) -> tuple[str, bytes]:
    """A path, and what nobody can learn from."""
    app = random.choice([*POLICIES, "nobody", "%00", "a" * 300])
    kind = random.randrange(4)
    if kind == 0:
        body = random.choice(BODIES)
    elif kind == 1:
        body = b'{"query_id": %d, "label": %b}' % (known, random.choice(LABELS).encode())
    elif kind == 2:
        body = b'{"query_id": %b, "label": 0.4}' % random.choice(IDS).encode()
    else:
        context = random.choice(CONTEXTS[3:]).encode()
        body = b'{"input": [1.0], "label": 0.4, "context": %b}' % context
    return f"/{app}/feedback", body


def attack(url: str, seed: int) -> set[int]:
    """What is answered to a stream of nonsense."""
    random = Random(seed)
    with httpx.Client(base_url=url, timeout=30) as client:
        known = ask(client, "exp3", [float(-seed)])
        sent = [wrong(random, known) for _ in range(WRONG)]
        return {client.post(path, content=body).status_code for path, body in sent}


def behave(url: str, seed: int, context: str = "") -> int:
    """How often something was learned from all there is to be learned."""
    inputs = [[float(seed), float(number)] for number in range(RIGHT)]
    with httpx.Client(base_url=url, timeout=30) as client:
        return sum(teach(client, policy, one, context) for one in inputs for policy in POLICIES)


def test_what_is_wrong_is_refused_and_what_is_right_is_counted(
    daemon: Clipperd, tmp_path: Path
) -> None:
    url = daemon.query_url
    with daemon.connect() as clipper:
        deploy(clipper, tmp_path)
        for visit in range(8):  # in every process some label has judged an output from here on
            behave(url, -1 - visit)
        with ThreadPoolExecutor(4) as pool:
            attacks = [pool.submit(attack, url, seed) for seed in range(2)]
            good = [pool.submit(behave, url, seed, f"user {seed}") for seed in range(2)]
            codes = attacks[0].result() | attacks[1].result()
            assert [one.result() for one in good] == [RIGHT * len(POLICIES)] * 2
        assert codes <= {200, 400, 404}, "200 for a label that a known query can be judged by"
        for policy in POLICIES:
            for context in ("user 0", "user 1"):
                models = clipper.get_selection_state(policy, context)["models"]
                assert sum(one["share"] for one in models) == pytest.approx(1), "finite"
                assert not clipper.predict(policy, [0.0], context=context).is_default
                if policy == "exp4":
                    assert {one["judged"] for one in models} == {RIGHT}


def ask(client: httpx.Client, app: str, input: list[float], context: str = "") -> int:
    body = {"input": input, "context": context}
    query_id: int = client.post(f"/{app}/predict", json=body).raise_for_status().json()["query_id"]
    return query_id


def teach(client: httpx.Client, app: str, input: list[float], context: str = "") -> bool:
    """The truth about a query; told twice, it counts once."""
    told = {"query_id": ask(client, app, input, context), "label": 0.4}
    answers = [client.post(f"/{app}/feedback", json=told) for _ in range(2)]
    learned = [answer.status_code == 200 and answer.json()["learned"] for answer in answers]
    return learned == [True, False]
