"""The guard: quiet where outputs agree, off for good where they do not."""

import numpy as np
import pytest

from clipper.abstraction.audit import ALLOWED, Audit
from clipper.core.errors import InvalidInput
from clipper.core.outputs import output_of

RIGHT, WRONG = output_of("cat"), output_of("dog")
BUDGET = 0.05


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def audit(rng: np.random.Generator) -> Audit:
    return Audit(0.02, BUDGET, None, rng)


def judge(audit: Audit, *wrong: bool) -> None:
    for is_wrong in wrong:
        audit.judge(WRONG if is_wrong else RIGHT, RIGHT)


def blocks_passed(rng: np.random.Generator, rate: float, runs: int = 400) -> float:
    """The share of first blocks that a guard survives."""
    passed = 0
    for _ in range(runs):
        audit = Audit(0.02, BUDGET, None, rng)
        judge(audit, *(rng.random(audit.block) < rate))
        passed += audit.is_on
    return passed / runs


def test_at_first_it_is_on_and_knows_nothing(audit: Audit) -> None:
    assert audit.is_on
    assert (audit.audited, audit.disagreed, audit.upper_bound) == (0, 0, 1)


def test_it_wants_its_share_of_the_hits(audit: Audit) -> None:
    assert sum(audit.wants() for _ in range(20_000)) == pytest.approx(400, rel=0.2)


def test_it_wants_every_hit_if_told_so(rng: np.random.Generator) -> None:
    assert all(Audit(1, BUDGET, None, rng).wants() for _ in range(1000))


def test_agreement_lowers_the_bound(audit: Audit) -> None:
    judge(audit, *[False] * 59)
    assert audit.upper_bound == pytest.approx(1 - 0.05 ** (1 / 59))
    assert (audit.audited, audit.disagreed, audit.is_on) == (59, 0, True)


def test_the_bound_of_a_block_that_just_passed_is_the_budget(audit: Audit) -> None:
    judge(audit, *[True] * ALLOWED, *[False] * (audit.block - ALLOWED))
    assert audit.is_on
    assert BUDGET * 0.95 < audit.upper_bound <= BUDGET


def test_one_disagreement_too_many_switches_it_off_and_says_why(audit: Audit) -> None:
    judge(audit, *[False] * 30, *[True] * (ALLOWED + 1))
    assert not audit.is_on
    assert audit.reason == (
        f"6 of 36 audited hits disagreed; a budget of 5 % allows 5 of {audit.block}."
    )


def test_once_off_it_stays_off_and_counts_no_more(audit: Audit) -> None:
    judge(audit, *[True] * (ALLOWED + 1))
    reason = audit.reason
    judge(audit, *[False] * 5 * audit.block)
    assert (audit.reason, audit.audited, audit.disagreed) == (reason, 6, 6)


def test_a_tolerance_is_heeded(rng: np.random.Generator) -> None:
    audit = Audit(0.02, BUDGET, 0.1, rng)
    audit.judge(output_of(1.0), output_of(1.05))
    audit.judge(output_of(1.0), output_of(1.15))
    assert (audit.audited, audit.disagreed) == (2, 1)


def test_far_below_the_budget_hardly_a_block_fails(rng: np.random.Generator) -> None:
    assert blocks_passed(rng, BUDGET / 10) > 0.99


def test_just_above_the_budget_hardly_a_block_passes(rng: np.random.Generator) -> None:
    assert blocks_passed(rng, BUDGET * 1.01) < 0.09  # 5 % and what 400 runs may stray


def test_five_times_the_budget_is_noticed_soon(rng: np.random.Generator) -> None:
    needed = []
    for _ in range(200):
        audit = Audit(0.02, BUDGET, None, rng)
        judge(audit, *(rng.random(audit.block) < 5 * BUDGET))
        assert not audit.is_on
        needed.append(audit.audited)
    assert np.mean(needed) == pytest.approx((ALLOWED + 1) / (5 * BUDGET), rel=0.15)


def test_a_guard_that_was_content_for_long_notices_a_change(audit: Audit) -> None:
    judge(audit, *[False] * 20 * audit.block)
    judge(audit, *[True] * (ALLOWED + 1))
    assert not audit.is_on


def test_old_disagreements_are_forgotten(audit: Audit) -> None:
    for _ in range(10):
        judge(audit, *[True] * ALLOWED, *[False] * (audit.block - ALLOWED))
    assert audit.is_on
    judge(audit, *[False] * 2 * audit.block)
    assert audit.upper_bound < BUDGET / 3


@pytest.mark.parametrize(
    ("share", "budget", "tolerance", "what"),
    [
        (0, 0.01, None, "share"),
        (1.1, 0.01, None, "share"),
        (0.1, 0, None, "budget"),
        (0.1, 1, None, "budget"),
        (0.1, 0.01, -1, "tolerance"),
        (0.1, 0.01, float("nan"), "tolerance"),
    ],
)
def test_impossible_settings_are_refused(
    rng: np.random.Generator, share: float, budget: float, tolerance: float | None, what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        Audit(share, budget, tolerance, rng)
