"""Who may be taken over, who is removed, and what becomes of what they have printed."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from clipper.core.types import ModelId, ReplicaId
from clipper.deploy.docker.engine import Engine, Found
from clipper.deploy.docker.leftovers import Leftovers, log_file

REPLICA = ReplicaId(ModelId("m", "1"), 0)


class FakeEngine:
    """Has containers that have printed their names."""

    def __init__(self, *containers: Found) -> None:
        self.containers = {one.id: one for one in containers}

    def found(self) -> list[Found]:
        return list(self.containers.values())

    def output(self, container_id: str, lines: int) -> bytes:
        return f"I am {self.containers[container_id].name}\n".encode()

    def remove(self, container_id: str) -> None:
        del self.containers[container_id]


def found(
    name: str, replica: ReplicaId | None = REPLICA, launch: str = "L", is_well: bool = True
) -> Found:
    return Found(f"id of {name}", name, replica, launch, is_well)


def leftovers(engine: FakeEngine, folder: Path) -> Leftovers:
    return Leftovers(cast(Engine, engine), folder, engine.found())


def names(engine: FakeEngine) -> set[str]:
    return {one.name for one in engine.found()}


def nobody(name: str) -> bool:
    return False


def test_one_that_was_launched_alike_is_taken_once(tmp_path: Path) -> None:
    left = leftovers(FakeEngine(found("a")), tmp_path)
    assert left.are_there(REPLICA)
    taken = left.take(REPLICA, "L")
    assert taken is not None
    assert taken.name == "a"
    assert left.take(REPLICA, "L") is None
    assert not left.are_there(REPLICA)


def test_of_two_of_one_replica_each_is_taken(tmp_path: Path) -> None:
    left = leftovers(FakeEngine(found("a"), found("b")), tmp_path)
    taken = [left.take(REPLICA, "L") for _ in range(3)]
    assert [one and one.name for one in taken] == ["a", "b", None]


def test_one_that_was_launched_otherwise_or_is_unwell_or_anothers_is_not_taken(
    tmp_path: Path,
) -> None:
    other = ReplicaId(ModelId("m", "1"), 1)
    engine = FakeEngine(
        found("a", launch="M"), found("b", is_well=False), found("c", other), found("d", None)
    )
    assert leftovers(engine, tmp_path).take(REPLICA, "L") is None


def test_what_is_unwell_is_removed_at_once_and_the_rest_when_nobody_wants_it(
    tmp_path: Path,
) -> None:
    engine = FakeEngine(found("well"), found("ill", is_well=False), found("nobody's", None))
    left = leftovers(engine, tmp_path)
    left.clear(nobody)
    assert names(engine) == {"well"}
    left.give_up()
    assert not left.are_there(REPLICA)
    left.clear(nobody)
    assert not names(engine)


def test_one_that_was_taken_is_its_owners_who_keeps_it_by_name(tmp_path: Path) -> None:
    engine = FakeEngine(found("a"))
    left = leftovers(engine, tmp_path)
    left.take(REPLICA, "L")
    left.clear(nobody)  # the owner has not entered it yet
    left.give_up()
    left.clear("a".__eq__)
    assert names(engine) == {"a"}


def test_the_addresses_are_known_of_all_that_are_there_until_they_are_removed(
    tmp_path: Path,
) -> None:
    well = replace(found("well"), addresses=frozenset({"172.17.0.2"}))
    ill = replace(found("ill", is_well=False), addresses=frozenset({"172.17.0.3"}))
    left = leftovers(FakeEngine(well, ill), tmp_path)
    assert left.addresses == {"172.17.0.2", "172.17.0.3"}
    left.clear(nobody)
    assert left.addresses == {"172.17.0.2"}
    left.give_up()
    left.clear(nobody)
    assert left.addresses == frozenset()


def test_what_one_has_printed_that_is_removed_stays_in_its_replicas_log(tmp_path: Path) -> None:
    engine = FakeEngine(found("ill", is_well=False), found("nobody's", None))
    leftovers(engine, tmp_path).clear(nobody)
    assert log_file(tmp_path, REPLICA).tail(10) == ["I am ill"]
