"""The ledger: sums over the workers that live and those that have ended, of what is known."""

from clipper.abstraction.latency import Profile
from clipper.core.metrics import Metrics
from clipper.core.types import ModelId
from clipper.serving.engine import Gone
from clipper.serving.figures import ApproximationFigures, Figures, ReplicaFigures
from clipper.workers.ledger import Ledger
from clipper.workers.merging import Told

MODEL = ModelId("m", "1")
ON = ApproximationFigures(True, "", 0, 0, 0, (0, 0))


def known() -> Figures:
    """The main process knows of one application and one version."""
    metrics = Metrics()
    metrics.application("a")
    metrics.model(MODEL).states = {0: "ready"}
    return Figures(metrics, {MODEL: ON}, 5.0)


def told(answered: int, depth: int = 0, adopted: int = 0) -> Told:
    """A worker has answered so many queries, and so many wait."""
    metrics = Metrics()
    metrics.application("a").answered = answered
    model = metrics.model(MODEL)
    model.predictions, model.queue_depth, model.limits = answered, depth, {0: 10.0 * answered}
    metrics.cache.bytes, metrics.cache.evictions = 100, answered
    message = Told.of(metrics)
    message.adopted = adopted
    return message


def counts(ledger: Ledger) -> tuple[int, int, int, int, int]:
    metrics = ledger.total(known()).metrics
    model, cache = metrics.models[MODEL], metrics.cache
    answered = metrics.applications["a"].answered
    return answered, model.predictions, model.queue_depth, cache.bytes, cache.evictions


def test_what_a_worker_told_last_replaces_what_it_told_before() -> None:
    ledger = Ledger()
    assert counts(ledger) == (0, 0, 0, 0, 0)
    ledger.note(1, told(3, depth=5))
    ledger.note(1, told(4, depth=2))
    assert counts(ledger) == (4, 4, 2, 100, 4)
    ledger.note(2, told(10, depth=1))
    assert counts(ledger) == (14, 14, 3, 200, 14)
    assert ledger.total(known()).metrics.models[MODEL].states == {0: "ready"}
    assert sorted(ledger.total(known()).metrics.models[MODEL].limits.values()) == [40.0, 100.0]


def test_of_a_worker_that_ended_the_counts_stay_and_the_gauges_go() -> None:
    ledger = Ledger()
    ledger.note(1, told(3, depth=5))
    ledger.note(2, told(10))
    ledger.retire(1)
    assert counts(ledger) == (13, 13, 0, 100, 13)
    ledger.retire(1)
    ledger.retire(3)
    assert counts(ledger) == (13, 13, 0, 100, 13)
    ledger.note(4, told(1))
    ledger.retire(2)
    assert counts(ledger) == (14, 14, 0, 100, 14)


def test_what_is_gone_begins_at_zero_when_it_comes_again() -> None:
    ledger = Ledger()
    ledger.note(1, told(3))
    ledger.retire(1)
    ledger.note(2, told(5))
    ledger.forget(Gone(["a"], [MODEL]), 7)
    assert counts(ledger)[:2] == (0, 0)
    ledger.note(2, told(5, adopted=6))
    assert counts(ledger)[:2] == (0, 0), "it did not know yet"
    ledger.note(2, told(1, adopted=7))
    assert counts(ledger)[:2] == (1, 1)


def test_what_the_main_process_does_not_know_is_left_out() -> None:
    ledger = Ledger()
    metrics = Metrics()
    metrics.application("deleted").answered = 5
    metrics.model(ModelId("m", "0")).predictions = 5
    ledger.note(1, Told.of(metrics))
    total = ledger.total(known()).metrics
    assert set(total.applications) == {"a"}
    assert set(total.models) == {MODEL}


def test_a_replica_is_what_all_workers_say_of_it() -> None:
    ledger = Ledger()
    assert ledger.replica(9) is None
    fast, slow = Profile(0.001, 0.0, 1.0, 1.0, 4), Profile(0.003, 0.0, 2.0, 3.0, 8)
    for worker, figures in {
        1: ReplicaFigures(8, "raised", fast, 30, 60),
        2: ReplicaFigures(4, "held", slow, 10, 30),
    }.items():
        message = Told()
        message.replicas = {9: figures}
        ledger.note(worker, message)
    both = ledger.replica(9)
    assert both is not None
    assert (both.limit, both.limit_reason, both.batches, both.queries) == (8, "raised", 40, 90)
    assert both.latency == Profile(0.0015, 0.0, 1.25, 1.5, 8)
    ledger.retire(1)
    rest = ledger.replica(9)
    assert rest is not None
    assert (rest.limit, rest.limit_reason, rest.batches, rest.queries) == (4, "held", 40, 90)
    assert rest.latency == slow
    ledger.end(9)
    alone = ledger.replica(9)
    assert alone is not None
    assert alone.batches == 10


def test_an_approximate_cache_that_is_off_anywhere_shows_as_off() -> None:
    ledger = Ledger()
    for worker, figures in {
        1: ApproximationFigures(True, "", 5, 100, 1, (1, 100)),
        2: ApproximationFigures(False, "too many", 0, 50, 6, (6, 50)),
    }.items():
        message = Told()
        message.approximations = [(MODEL, figures)]
        ledger.note(worker, message)
    merged = ledger.total(known()).approximations[MODEL]
    assert (merged.is_on, merged.reason) == (False, "too many")
    assert (merged.entries, merged.audited, merged.disagreed) == (5, 150, 7)
    assert 7 / 150 < merged.upper_bound < 0.1
    assert Ledger().total(known()).approximations == {MODEL: ON}
