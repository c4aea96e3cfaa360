"""What another policy would have cost, from a log: compared with what it then does cost."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from random import Random
from typing import Any

import pytest

from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of
from clipper.core.types import DEFAULT_CONTEXT, ModelId
from clipper.selection.bandits import EpsilonGreedy, Ucb1
from clipper.selection.cascade import Cascade
from clipper.selection.comparing import Canary, Shadow, Split
from clipper.selection.ensemble import Exp4, Majority
from clipper.selection.exp3 import Exp3
from clipper.selection.logged import By, Logged, Watched
from clipper.selection.policy import Lesson, Selection, SelectionPolicy, Traffic
from clipper.selection.replay import Estimate, evaluate
from clipper.selection.single import Single
from clipper.selection.thompson import Thompson

MODELS = A, B, C = tuple(ModelId(name, "1") for name in "abc")
CHANCES = dict(zip(MODELS, (0.5, 0.1, 0.3), strict=True))
SEEDS = 20
BANDITS: Mapping[str, SelectionPolicy] = {
    policy.name: policy for policy in (Exp3(), EpsilonGreedy(), Ucb1(), Thompson())
}


def logged(
    policy: SelectionPolicy, rounds: int, seed: int = 2, context: str = DEFAULT_CONTEXT
) -> Iterator[Logged]:
    """What a policy decided, and what it learned."""
    state, random = policy.init(), Random(f"log {seed}")
    params = {"split": policy.split} if isinstance(policy, Split) else {}
    by = By(policy.name, json.dumps(params), "zero_one")
    for _ in range(rounds):
        selection = policy.select(state, MODELS, random.random())
        wrong = {model: random.random() < chance for model, chance in CHANCES.items()}
        asked = selection.models + selection.shadows
        losses = {model: float(wrong[model]) for model in asked}
        outputs = {model: output_of("no" if wrong[model] else "yes") for model in asked}
        yield Logged(context, MODELS, selection, outputs, "yes", losses, by)
        state = policy.observe(state, MODELS, Lesson(selection, losses, outputs, "yes"))


def one(asked: str, losses: dict[ModelId, float], by: str = "shadow", **fields: Any) -> Logged:
    """A decision, on two models."""
    selection = Selection(tuple(ModelId(name, "1") for name in asked), 1.0)
    outputs = fields.pop("outputs", {})
    label = fields.pop("label", "yes")
    params = CASCADE_PARAMS if by == "cascade" else {}
    known_by = By(by, json.dumps(params), "zero_one")
    return Logged("0", (A, B), selection, outputs, label, losses, known_by)


@pytest.mark.parametrize(("name", "loss"), [("a", 0.5), ("b", 0.1), ("c", 0.3)])
def test_from_a_log_of_random_choices_each_model_is_judged_rightly(name: str, loss: float) -> None:
    decisions = list(logged(Split(), 6000))
    estimate = evaluate(Split({name: 1}), decisions, "zero_one")
    assert estimate.loss == pytest.approx(loss, abs=0.03)
    assert estimate.interval.low < loss < estimate.interval.high
    assert not estimate.doubt
    assert estimate.used == pytest.approx(2000, rel=0.1)


def test_a_log_that_favours_one_model_is_corrected_for() -> None:
    decisions = list(logged(Split({"a": 8, "b": 1, "c": 1}), 8000))
    plain = sum(sum(one.losses.values()) for one in decisions) / len(decisions)
    assert plain > 0.4
    assert evaluate(Split({"b": 1}), decisions, "zero_one").loss == pytest.approx(0.1, abs=0.04)
    assert evaluate(Split(), decisions, "zero_one").loss == pytest.approx(0.3, abs=0.04)


@cache
def online(name: str, rounds: int = 2000, runs: int = 30) -> list[float]:
    """The mean loss of a policy that serves, after each number of decisions; over many runs."""
    totals = [0.0] * rounds
    for seed in range(runs):
        for place, decision in enumerate(logged(BANDITS[name], rounds, 1000 + seed)):
            totals[place] += sum(decision.losses.values()) / runs
    means, total = [], 0.0
    for count, loss in enumerate(totals, 1):
        total += loss
        means.append(total / count)
    return means


def covers(estimate: Estimate, name: str) -> bool:
    """Whether the policy that serves for as many decisions has a loss in the interval."""
    truth = online(name)[round(estimate.used) - 1]
    return estimate.interval.low <= truth <= estimate.interval.high


@pytest.mark.parametrize("name", BANDITS)
@pytest.mark.parametrize("log", [Split(), Exp3()], ids=["uniform", "exp3"])
def test_a_policy_that_learns_costs_what_it_does_when_it_serves(
    log: SelectionPolicy, name: str
) -> None:
    estimates = [
        evaluate(BANDITS[name], logged(log, 2000, seed), "zero_one", seed) for seed in range(SEEDS)
    ]
    assert sum(covers(estimate, name) for estimate in estimates) >= 17
    assert sum(not estimate.doubt for estimate in estimates) >= 17


def test_a_policy_that_is_replayed_on_its_own_log_takes_all_its_decisions_again() -> None:
    for policy in BANDITS.values():
        decisions = list(logged(policy, 500))
        estimate = evaluate(policy, decisions, "zero_one")
        lost = sum(sum(decision.losses.values()) for decision in decisions)
        assert estimate.used == 500
        assert estimate.loss == pytest.approx(lost / 500)


def test_where_the_beginning_of_a_log_is_gone_a_wrong_answer_is_doubtful() -> None:
    estimates = [
        evaluate(BANDITS["exp3"], list(logged(Exp3(), 3000, seed))[1000:], "zero_one", seed)
        for seed in range(SEEDS)
    ]
    fine = [covers(estimate, "exp3") for estimate in estimates if not estimate.doubt]
    assert any(estimate.doubt for estimate in estimates)
    assert sum(fine) >= 0.85 * len(fine)


def test_few_decisions_are_said_to_be_few() -> None:
    assert "decisions only" in evaluate(Exp3(), logged(Split(), 120), "zero_one").doubt


def test_a_log_that_keeps_users_to_one_model_cannot_tell_of_a_policy_for_each_user() -> None:
    decisions = list(logged(Split(), 1500, context="user"))
    assert "one model" in evaluate(Exp3(), decisions, "zero_one").doubt
    assert not evaluate(Split({"b": 1}), decisions, "zero_one").doubt


def test_a_policy_that_learns_nothing_is_judged_on_all_decisions() -> None:
    estimate = evaluate(Single(), logged(Exp3(), 4000), "zero_one")
    assert estimate.interval.low < 0.5 < estimate.interval.high


def test_shadows_tell_the_losses_of_all() -> None:
    estimate = evaluate(Split({"b": 1}), logged(Shadow(), 1000), "zero_one")
    assert estimate.used == 1000
    assert estimate.loss == pytest.approx(0.1, abs=0.03)


SURE, UNSURE, RIGHT = output_of([0.99, 0.01]), output_of([0.4, 0.6]), output_of([0.9, 0.1])
CASCADE_PARAMS: dict[str, Any] = {"models": ["a", "b"], "thresholds": [0.2]}
CASCADE = Cascade(**CASCADE_PARAMS)


def test_a_cascade_asks_the_next_model_as_it_does_when_it_serves() -> None:
    losses = {A: 1.0, B: 0.0}
    unsure = one("ab", losses, "majority", outputs={A: UNSURE, B: RIGHT}, label=0)
    sure = one("ab", losses, "majority", outputs={A: SURE, B: RIGHT}, label=1)
    assert evaluate(CASCADE, [unsure], "zero_one").loss == 0.0
    assert evaluate(CASCADE, [sure], "zero_one").loss == 1.0


def test_where_the_log_lacks_what_a_cascade_asks_next_the_decision_does_not_count() -> None:
    sure = one("a", {A: 0.0}, "cascade", outputs={A: SURE}, label=0)
    cut = one("a", {A: 1.0}, "cascade", outputs={A: UNSURE}, label=0)
    assert evaluate(CASCADE, [sure] * 200, "zero_one")[:3] == (200, 200, 0.0)
    estimate = evaluate(CASCADE, [sure] * 200 + [cut] * 100, "zero_one")
    assert (estimate.used, estimate.loss) == (200, 0.0)
    assert "lacks outputs" in estimate.doubt


def test_what_only_hard_inputs_show_judges_no_other_policy() -> None:
    both = one("ab", {A: 1.0, B: 1.0}, "cascade", outputs={A: UNSURE, B: UNSURE}, label=0)
    with pytest.raises(InvalidInput, match="no decision"):
        evaluate(Split({"b": 1}), [both] * 200, "zero_one")


def test_an_ensemble_cannot_be_judged_by_one_model_at_a_time() -> None:
    with pytest.raises(InvalidInput, match="no decision"):
        evaluate(Majority(), logged(Exp3(), 500), "zero_one")


@pytest.mark.parametrize("losses", [{A: 1.0}, {A: 1.0, B: 0.0}])
def test_another_loss_is_worked_out_from_label_and_output(losses: dict[ModelId, float]) -> None:
    decision = one("a", losses, outputs={A: output_of(0.6)}, label=1)
    assert evaluate(Single(), [decision], "squared").loss == pytest.approx(0.16)


def said(output: Any, label: Any = 0.5, by: str = "squared") -> Logged:
    """An application that judges distances has asked one model."""
    decision = one("a", {A: 1.0, B: 1.0}, outputs={A: output_of(output)}, label=label)
    return decision._replace(by=By("shadow", "{}", by))


def test_an_output_that_cannot_be_judged_costs_what_it_did_when_it_was_served() -> None:
    decisions = [said(0.5)] * 300 + [said("x")] * 100
    estimate = evaluate(Single(), decisions, "squared")
    assert (estimate.used, estimate.loss, estimate.doubt) == (400, 0.25, "")


def test_where_another_loss_cannot_judge_much_of_the_log_it_is_doubtful() -> None:
    decisions = [said(0.5)] * 300 + [said("x", by="zero_one")] * 100
    assert "squared cannot judge" in evaluate(Single(), decisions, "squared").doubt


def test_where_nothing_can_be_judged_it_says_why() -> None:
    with pytest.raises(InvalidInput, match="The output 'x' is not a number"):
        evaluate(Single(), [said("x")] * 300, "squared")


def test_a_loss_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no loss 'hinge'") as refusal:
        evaluate(Exp3(), logged(Exp3(), 10), "hinge")
    assert "zero_one" in refusal.value.hint


def test_a_policy_that_watches_is_told_of_the_traffic_and_others_are_not() -> None:
    ended = Watched(
        (A, B), {A: Traffic(500), B: Traffic(500, failed=500)}, By("canary", "{}", "zero_one")
    )
    both = [one("ab", {A: 1.0, B: 0.0}, "majority")] * 200
    canary = Canary("b", share=0.5)
    assert evaluate(canary, both, "zero_one").loss == pytest.approx(0.5, abs=0.15)
    assert evaluate(canary, [ended, *both], "zero_one").loss == 1.0, "it was rolled back"
    assert evaluate(Exp3(), [ended, *both], "zero_one") == evaluate(Exp3(), both, "zero_one")


def test_from_a_log_of_an_ensemble_any_policy_is_played() -> None:
    decisions = list(logged(Majority(), 2000))
    alone = evaluate(Split({"b": 1}), decisions, "zero_one")
    assert alone.loss == pytest.approx(0.1, abs=0.03)
    assert alone.used == 2000
    assert evaluate(Exp4(), decisions, "zero_one").loss < 0.2


def test_where_the_log_tried_nothing_of_it_it_says_so() -> None:
    decisions = list(logged(Split({"a": 1}), 100))
    with pytest.raises(InvalidInput, match="no decision that this policy would have taken"):
        evaluate(Split({"b": 1}), decisions, "zero_one")


def test_the_same_seed_gives_the_same() -> None:
    decisions = list(logged(Exp3(), 500))
    assert evaluate(Ucb1(), decisions, "zero_one", 5) == evaluate(Ucb1(), decisions, "zero_one", 5)


def test_a_model_that_gave_no_output_cost_what_was_logged() -> None:
    silent = one("ab", dict.fromkeys((A, B), 1.0), "majority")
    assert evaluate(Majority(), [silent], "zero_one").loss == 1.0
