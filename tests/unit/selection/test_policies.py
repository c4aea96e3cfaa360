"""Policies by name, with the parameters that applications give them."""

import pytest

from clipper.core.errors import InvalidInput
from clipper.selection.exp3 import Exp3
from clipper.selection.policies import make_policy
from clipper.selection.single import Single


def test_a_policy_is_made_by_its_name() -> None:
    assert isinstance(make_policy("single", {}, "zero_one"), Single)
    assert isinstance(make_policy("exp3", {}, "zero_one"), Exp3)


def test_a_policy_gets_its_parameters() -> None:
    policy = make_policy("exp3", {"eta": 0.5}, "zero_one")
    assert isinstance(policy, Exp3)
    assert policy.eta == 0.5


def test_an_unknown_policy_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(InvalidInput, match="There is no selection policy 'ucb'") as refusal:
        make_policy("ucb", {}, "zero_one")
    assert refusal.value.hint.startswith("Choose one of: single, exp3, epsilon_greedy, ")


@pytest.mark.parametrize(("name", "params"), [("single", {"eta": 1}), ("exp3", {"gamma": 0.1})])
def test_a_parameter_that_it_does_not_take_is_refused(name: str, params: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"The selection policy {name} does not take") as refusal:
        make_policy(name, params, "zero_one")
    assert (
        refusal.value.hint == {"single": "It takes no parameters.", "exp3": "It takes eta."}[name]
    )


@pytest.mark.parametrize("eta", [0, -0.1, 1.5, float("nan"), "fast", None, [0.1], True])
def test_a_parameter_out_of_range_is_refused(eta: object) -> None:
    with pytest.raises(InvalidInput):
        make_policy("exp3", {"eta": eta}, "zero_one")
