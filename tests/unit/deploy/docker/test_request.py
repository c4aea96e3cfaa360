"""What a container is given, and what makes two requests the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from clipper.deploy.docker.request import Launch, Limits, digest, request

LAUNCH = Launch("a", "mine:1", "secret", {"X": "1"}, {"/model": Path("/m")}, {"l": "1"})


def test_a_container_gets_no_privilege_and_nothing_to_write_to_but_memory() -> None:
    asked = request(LAUNCH, "net")
    assert asked["user"] == "10001:10001"
    assert asked["read_only"] is True
    assert asked["cap_drop"] == ["ALL"]
    assert asked["security_opt"] == ["no-new-privileges:true"]
    assert asked["ipc_mode"] == "private"
    assert set(asked["tmpfs"]) == {"/tmp"}
    assert [(one["Source"], one["ReadOnly"]) for one in asked["mounts"]] == [("/m", True)]
    assert asked.keys().isdisjoint({"privileged", "ports", "volumes", "devices", "cap_add"})


def test_memory_files_processes_and_logs_are_bounded() -> None:
    limits = Limits(memory_bytes=1 << 30, processes=7, files=9, cpus=1.5, log_bytes=2000)
    asked = request(replace(LAUNCH, limits=limits), "net")
    assert asked["mem_limit"] == asked["memswap_limit"] == 1 << 30
    assert (asked["pids_limit"], asked["nano_cpus"]) == (7, 1_500_000_000)
    ulimits = {one["Name"]: (one["Soft"], one["Hard"]) for one in asked["ulimits"]}
    assert ulimits == {"nofile": (9, 9), "core": (0, 0)}
    assert asked["log_config"]["Config"] == {"max-size": "1000", "max-file": "2"}


def test_a_full_tmp_is_not_all_memory() -> None:
    asked = request(replace(LAUNCH, limits=Limits(memory_bytes=64 << 20)), "net")
    assert asked["tmpfs"]["/tmp"].endswith(f"size={16 << 20}")
    assert asked["shm_size"] == 16 << 20


@pytest.mark.parametrize(
    ("gpus", "count", "ids"),
    [("all", -1, []), ("0", 0, ["0"]), ("0,3", 0, ["0", "3"]), ("GPU-8f2a", 0, ["GPU-8f2a"])],
)
def test_gpus_are_asked_for_by_number_or_all_of_them(gpus: str, count: int, ids: list[str]) -> None:
    asked = request(replace(LAUNCH, gpus=gpus), "net")
    (device,) = asked["device_requests"]
    assert (device["Count"], device["DeviceIDs"]) == (count, ids)
    assert device["Capabilities"] == [["gpu"]]
    assert "NVIDIA_VISIBLE_DEVICES" not in asked["environment"]


def test_without_gpus_none_are_seen_whatever_the_runtime_gives_by_default() -> None:
    asked = request(LAUNCH, "net")
    assert asked["device_requests"] == []
    assert asked["environment"] == {"X": "1", "NVIDIA_VISIBLE_DEVICES": "void"}


def test_names_are_asked_of_nobody_but_on_a_network_of_the_deployments() -> None:
    assert request(LAUNCH, "net")["dns"] == ["127.0.0.1"]
    asked = request(replace(LAUNCH, network="bridge"), "net")
    assert asked["network"] == "net"
    assert "dns" not in asked


def test_the_token_is_no_part_of_what_is_compared_and_is_not_shown() -> None:
    other = replace(LAUNCH, name="b", token="another")
    assert digest(other, "net", "sha256:1") == digest(LAUNCH, "net", "sha256:1")
    assert "secret" not in repr(LAUNCH) + repr(request(LAUNCH, "net"))


def test_a_first_replica_that_was_to_say_what_it_takes_may_be_taken_over() -> None:
    asked, told = (
        replace(LAUNCH, environment={"X": "1", "CLIPPER_CONTAINER_INPUT_TYPE": accepted})
        for accepted in ("any", "floats")
    )
    assert digest(asked, "net", "sha256:1") == digest(told, "net", "sha256:1")


@pytest.mark.parametrize(
    "other",
    [
        replace(LAUNCH, environment={"X": "2"}),
        replace(LAUNCH, mounts={"/model": Path("/n")}),
        replace(LAUNCH, labels={"l": "2"}),
        replace(LAUNCH, limits=Limits(cpus=1)),
        replace(LAUNCH, gpus="0"),
        replace(LAUNCH, network="bridge"),
    ],
)
def test_whatever_else_differs_makes_another_container(other: Launch) -> None:
    assert digest(other, "net", "sha256:1") != digest(LAUNCH, "net", "sha256:1")


def test_another_build_of_the_image_or_another_network_makes_another_container() -> None:
    digests = {digest(LAUNCH, *each) for each in (("net", "1"), ("net", "2"), ("ten", "1"))}
    assert len(digests) == 3
