"""Hostile models in containers: what they try from the inside, and that nobody else notices.

All the while a bystander, in a container on the same network, answers within its objective.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from clipper.deploy.instance import instance_id
from tests.fakes.clipperd import clipperd
from tests.fakes.engine import require_docker
from tests.fakes.load import Load, load
from tests.fakes.needs import missing
from tests.fakes.prison import FAKES, MEMORY_BYTES, TOKEN, Prison
from tests.fakes.redis_server import RedisServer
from tests.fakes.watching import until

pytestmark = pytest.mark.docker
SLO_S = 1.0
LARGE_BYTES = 2 << 30
"""Memory enough for a lie of some size."""
DEPLOY_FAILED = 502
LOST = ("TimeoutError", "ENETUNREACH", "EHOSTUNREACH")
"""What comes of a packet that is dropped on its way."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real one, on loopback, which the model must not reach."""
    if not shutil.which("redis-server"):
        missing("redis", "there is no redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def prison(store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prison]:
    require_docker()
    settings = {"host": "0.0.0.0", "admin_token": TOKEN, "batch_timeout_s": 6}
    folder = tmp_path_factory.mktemp("clipperd")
    with contextlib.closing(docker.from_env()) as engine:
        with clipperd(folder, store=store.url, **settings) as daemon:
            prison = Prison(daemon, engine)
            prison.serve("bystander", "prisoner.py:Prisoner", SLO_S)
            prison.serve("prisoner", "prisoner.py:Prisoner", 15)
            prison.serve("rogue", "rogue.py:Rogue", 10, memory_bytes=LARGE_BYTES)
            yield prison
        label = f"ai.clipper.instance={instance_id(folder / 'data')}"
        assert not engine.containers.list(all=True, sparse=True, filters={"label": label})


@pytest.fixture(scope="module")
def visitors(prison: Prison) -> Iterator[Load]:
    """Of the bystander, two of them, fifty times a second each at most."""
    with load(prison.daemon.query_port, "bystander", 2, pause_s=0.02) as visitors:
        yield visitors


@pytest.fixture(autouse=True)
def bystander(visitors: Load) -> Iterator[None]:
    """Is not hurt by what a test does: all are answered by the model, within the objective."""
    before = len(visitors.answers)
    yield
    visitors.await_answers(5)
    answers = visitors.answers[before:]
    assert {answer.kind for answer in answers} == {"model"}, visitors.explanations()
    assert (visitors.broken, visitors.refused) == (0, 0)


def test_it_is_nobody_and_may_do_nothing(prison: Prison) -> None:
    told = prison.order("tell")
    assert {told[key] for key in told if key.startswith("Cap")} == {"0" * 16}
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert told["ids"] == [10001]
    assert told["hostname"] == "model"
    assert (told["core"], told["files"]) == ([0, 0], [16384, 16384])


def test_it_can_write_to_its_tmp_and_nowhere_else(prison: Prison) -> None:
    paths = ["/new", "/code/new", "/etc/passwd", "/proc/sys/kernel/hostname", "/dev/new"]
    paths += ["/proc/sysrq-trigger", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/usr/bin/new"]
    outcomes = prison.order("write", paths=paths)
    assert set(outcomes.values()) <= {"EROFS", "EACCES", "ENOENT"}, outcomes
    assert prison.order("write", paths=["/tmp/new"]) == {"/tmp/new": "done"}
    sources = [
        one["Source"] for one in prison.inside("prisoner")["Mounts"] if one["Type"] == "bind"
    ]
    assert sorted(sources) == sorted(map(str, FAKES.glob("*.py")))


@pytest.mark.parametrize(("folder", "bound"), [("/tmp", 64 << 20), ("/dev/shm", 64 << 20)])
def test_what_it_can_write_to_is_bounded_and_a_full_one_ends_nothing(
    prison: Prison, folder: str, bound: int
) -> None:
    before = prison.state("prisoner")["identity"]
    written, reason = prison.order("fill", folder=folder)
    assert reason == "ENOSPC"
    assert bound - (1 << 20) <= written <= bound
    assert prison.state("prisoner")["identity"] == before


def test_the_kernel_gives_it_nothing(prison: Prison) -> None:
    outcomes = prison.order("escape")
    assert set(outcomes.values()) <= {"EPERM", "EACCES"}, outcomes


def test_it_sees_no_process_no_token_and_no_socket_but_its_own(prison: Prison) -> None:
    assert prison.order("trace", pid=prison.daemon.pid) == ["ESRCH", "ESRCH"]
    seen = prison.order("spy")
    assert set(seen["programs"]) <= {"docker-init", "python", "python3"}
    variables = prison.inside("prisoner")["Config"]["Env"]
    own = [one.partition("=")[2] for one in variables if one.startswith("CLIPPER_CONTAINER_TOKEN=")]
    assert seen["tokens"] == own
    assert "/var/run/docker.sock" not in seen["sockets"]


def test_it_reaches_nobody_and_can_pose_as_nobody(prison: Prison, store: RedisServer) -> None:
    gateway, other = prison.where("prisoner")["Gateway"], prison.where("bystander")["IPAddress"]
    targets = [("1.1.1.1", 443), (other, 7000)]
    targets += [(host, store.port) for host in (gateway, "127.0.0.1")]
    found = prison.order("network", gateway=gateway, other=other, targets=targets)
    assert found["address"] == prison.where("prisoner")["IPAddress"]
    assert [outcome in LOST for outcome in found["connected"].values()] == [
        True,
        True,
        False,
        False,
    ]
    assert list(found["connected"].values())[2:] == ["ECONNREFUSED", "ECONNREFUSED"]
    assert found["posing"] == "EADDRNOTAVAIL"
    assert found["named"] == "gaierror"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/status"), ("DELETE", "/api/v1/models/bystander")]
)
def test_the_admin_listener_refuses_it_also_with_the_right_token(
    prison: Prison, method: str, path: str
) -> None:
    gateway = prison.where("prisoner")["Gateway"]
    request = {"method": method, "path": path, "token": TOKEN}
    status, text = prison.order("call", host=gateway, port=prison.daemon.admin_port, **request)
    assert status == 403
    assert "may not administer" in text


def test_a_fork_bomb_is_stopped_by_its_bound_and_replaced(prison: Prison) -> None:
    before = prison.state("prisoner")["identity"]
    assert prison.ask("prisoner", {"do": "fork_bomb"})["default"]
    prison.await_replaced("prisoner", before)


def test_one_that_runs_out_of_memory_is_replaced_and_all_is_told(prison: Prison) -> None:
    before = prison.state("prisoner")["identity"]
    assert prison.ask("prisoner", {"do": "eat_memory"})["default"]
    prison.await_replaced("prisoner", before)
    told = prison.state("prisoner")["last_exit"]
    assert "prisoner:1#0 ran out of memory (killed by SIGKILL)" in told
    assert "these are its last words" in told


def test_one_that_runs_out_of_memory_while_it_loads_fails_its_deployment(prison: Prison) -> None:
    refused = prison.deploy("hungry", "prisoner.py:EatsAtOnce", memory_bytes=MEMORY_BYTES)
    assert refused.status_code == DEPLOY_FAILED, refused.text
    message = refused.json()["error"]["message"]
    assert "hungry:1#0 ran out of memory (killed by SIGKILL)" in message
    assert "these are its last words" in message


def test_a_gigabyte_of_output_is_bounded_on_disk_and_in_memory(prison: Prison) -> None:
    peak_mb = prison.daemon.peak_memory_mb()
    assert prison.order("babble", bytes=1 << 30) == "begun"
    until(lambda: prison.order("has_babbled"), 90, "a gigabyte of output")
    log = prison.call("GET", "/api/v1/models/prisoner/versions/1/logs?tail=100").json()
    assert len(log["lines"]) == 100
    config = prison.inside("prisoner")
    assert len(prison.engine.api.logs(config["Id"])) < 3 << 20
    files = Path(config["LogPath"]).parent.glob("*-json.log*")
    assert sum(file.stat().st_size for file in files) < 3 << 20
    assert prison.daemon.peak_memory_mb() < peak_mb + 64


@pytest.mark.parametrize(
    "lie",
    [
        "too_many",
        "too_few",
        "not_a_number",
        "not_json",
        "large_claim",
        "many_lists",
        "many_values",
    ],
)
def test_outputs_that_are_none_fail_their_batch_only(prison: Prison, lie: str) -> None:
    before = prison.state("rogue")["identity"]
    answer = prison.ask("rogue", {"lie": lie})
    assert (answer["default"], answer["output"]) == (True, "none")
    assert prison.ask("rogue", f"after {lie}")["output"] == f"after {lie}"
    assert prison.state("rogue")["identity"] == before


@pytest.mark.parametrize("lie", ["wrong_id", "garbage", "too_huge"])
def test_one_that_breaks_the_protocol_is_replaced(prison: Prison, lie: str) -> None:
    before = prison.state("rogue")["identity"]
    assert prison.ask("rogue", {"lie": lie})["default"]
    prison.await_replaced("rogue", before)


def test_one_that_sends_results_without_end_is_replaced(prison: Prison) -> None:
    before = prison.state("rogue")["identity"]
    assert prison.ask("rogue", {"lie": "flood"})["output"] == {"lie": "flood"}, "the first is due"
    prison.await_replaced("rogue", before)
    assert prison.state("rogue")["last_exit"] == "rogue:1#0 sent a result too many."


@pytest.mark.parametrize(
    ("model", "patience_s", "reason"),
    [
        ("NeverWell", 3, "was not ready within 3 s"),
        ("OtherProtocol", 60, "speaks version 99 of the container protocol"),
        ("OtherType", 60, "takes bytes; it was deployed for json"),
    ],
)
def test_one_that_does_not_present_itself_rightly_is_not_deployed(
    prison: Prison, model: str, patience_s: float, reason: str
) -> None:
    refused = prison.deploy("stranger", f"rogue.py:{model}", patience_s)
    assert refused.status_code == DEPLOY_FAILED, refused.text
    assert reason in refused.json()["error"]["message"]
    assert not prison.engine.containers.list(filters={"label": "ai.clipper.model=stranger"})


def test_a_way_in_on_this_machine_that_it_names_is_not_gone(prison: Prison) -> None:
    prison.serve("elsewhere", "rogue.py:ElsewhereLane", 5)
    assert prison.ask("elsewhere", "hello")["output"] == "hello"
