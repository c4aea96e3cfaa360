"""The generated code, as the daemon and the containers have it."""

import subprocess
import sys
from pathlib import Path

import clipper_container.health_pb2
import clipper_container.model_pb2

import clipper.rpc.health_pb2
import clipper.rpc.model_pb2

ROOT = Path(__file__).parents[3]


def test_it_is_generated_from_the_protos_as_they_are() -> None:
    check = [sys.executable, str(ROOT / "proto" / "generate.py"), "--check"]
    assert subprocess.run(check, capture_output=True, text=True, timeout=60).stderr == ""


def test_both_copies_live_in_one_process_and_speak_the_same() -> None:
    theirs = clipper.rpc.model_pb2.Batch(id=1, size=1, shapes=[{"dims": [2]}])
    ours = clipper_container.model_pb2.Batch.FromString(theirs.SerializeToString())
    assert ours.SerializeToString() == theirs.SerializeToString()


def test_a_model_may_use_the_health_packages_own_code_beside_it() -> None:
    from grpc_health.v1 import health_pb2

    theirs = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
    for module in (clipper_container.health_pb2, clipper.rpc.health_pb2):
        ours = module.HealthCheckResponse(status=module.HealthCheckResponse.SERVING)
        assert ours.SerializeToString() == theirs.SerializeToString()
