"""Bounds on rates, beside scipy's."""

import pytest
from scipy.stats import beta, binom

from clipper.abstraction.binomial import at_most, trials_for, upper_bound


@pytest.mark.parametrize("trials", [1, 2, 10, 299, 1049, 10_000])
@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.5, 0.9, 1])
def test_the_upper_bound_is_clopper_and_pearsons(trials: int, share: float) -> None:
    events = round(share * trials)
    expected = 1.0 if events == trials else beta.ppf(0.95, events + 1, trials - events)
    assert upper_bound(events, trials) == pytest.approx(expected, rel=1e-7)


def test_nothing_is_known_before_the_first_trial() -> None:
    assert upper_bound(0, 0) == 1


@pytest.mark.parametrize("rate", [1e-4, 0.01, 0.3, 0.99])
@pytest.mark.parametrize("trials", [0, 1, 20, 3000])
def test_the_tail_is_the_binomials(trials: int, rate: float) -> None:
    for events in {0, trials // 3, trials // 2, trials}:
        expected = binom.cdf(events, trials, rate)
        assert at_most(events, trials, rate) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("events", [0, 1, 5])
@pytest.mark.parametrize("rate", [1e-6, 1e-3, 0.01, 0.2, 0.9])
def test_one_trial_fewer_would_not_rule_out_the_rate(events: int, rate: float) -> None:
    trials = trials_for(events, rate)
    assert upper_bound(events, trials) <= rate * (1 + 1e-9)
    assert upper_bound(events, trials - 1) > rate


def test_without_an_event_it_is_the_rule_of_three() -> None:
    assert trials_for(0, 0.01) == 299
