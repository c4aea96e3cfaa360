"""What a program behind the fence finds that it cannot do."""

import json
import os
import resource
import subprocess
import sys

import pytest

from clipper.deploy.process import fence

SHOWS_LIMITS = """
import json, resource
kinds = ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_DATA")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    **{kind: resource.getrlimit(getattr(resource, kind)) for kind in kinds},
    "no_new_privs": status["NoNewPrivs"].strip(),
    "capabilities": int(status["CapEff"], 16),
    "oom_score": open("/proc/self/oom_score_adj").read().strip(),
}))
"""
RAISES_LIMIT = """
import resource
try:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
except (ValueError, OSError) as error:
    print("refused", error)
"""
LOOKS_AT_PARENT = """
import os
try:
    print(open(f"/proc/{os.getppid()}/environ", "rb").read())
except OSError as error:
    print("refused", error.strerror)
"""


def fenced(code: str, memory_bytes: int = 0) -> str:
    """What a program printed behind the fence."""
    command = [sys.executable, "-I", "-S", fence.__file__, str(memory_bytes)]
    answer = subprocess.run(
        [*command, sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return answer.stdout


def test_it_has_its_limits_and_gains_no_privileges() -> None:
    found = json.loads(fenced(SHOWS_LIMITS, 256 << 20))
    assert found["RLIMIT_CORE"] == [0, 0]
    assert max(found["RLIMIT_NOFILE"]) <= fence.OPEN_FILES
    assert found["RLIMIT_DATA"] == [256 << 20] * 2
    assert found["no_new_privs"] == "1"
    assert found["oom_score"] == "500"
    assert not any(found["capabilities"] >> capability & 1 for capability in fence.DROPPED)


def test_without_a_limit_of_memory_the_daemons_stays() -> None:
    assert json.loads(fenced(SHOWS_LIMITS))["RLIMIT_DATA"] == list(
        resource.getrlimit(resource.RLIMIT_DATA)
    )


def test_a_limit_cannot_be_raised_again_not_even_by_root() -> None:
    assert fenced(RAISES_LIMIT, 256 << 20).startswith("refused")


@pytest.mark.skipif(os.getuid() != 0, reason="only a daemon of root's has more than its replicas")
def test_roots_environment_cannot_be_read_from_behind_it() -> None:
    assert fenced(LOOKS_AT_PARENT).startswith("refused")


def test_a_program_that_is_not_there_is_named() -> None:
    command = [sys.executable, "-I", "-S", fence.__file__, "0", "/no/python"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr == "/no/python cannot be run: No such file or directory\n"
