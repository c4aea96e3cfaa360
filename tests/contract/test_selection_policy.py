"""What every selection policy must do, whatever it learns."""

from typing import Any

import pytest

from clipper.selection.contract import SelectionPolicyContract
from clipper.selection.policies import POLICIES, make_policy
from clipper.selection.policy import SelectionPolicy

NEEDED: dict[str, dict[str, Any]] = {"canary": {"candidate": "b"}}
"""Parameters that cannot be left out."""
FURTHER: list[tuple[str, dict[str, Any], str]] = [
    ("exp4", {"combine": "scores"}, "log"),
    ("linear", {}, "squared"),
    ("linear", {}, "log"),
    ("static", {"weights": {"a": 3}}, "absolute"),
    ("ab", {"split": {"a": 0.9, "b": 0.1}}, "zero_one"),
    ("shadow", {"primary": "b"}, "zero_one"),
    ("canary", {"candidate": "c:1", "patience": 1}, "zero_one"),
    ("cascade", {"models": ["a", "b", "c"], "thresholds": [0.5, 0.2]}, "zero_one"),
    ("cascade", {"models": ["b", "a"], "thresholds": [0.1], "tolerance": 0}, "log"),
]


@pytest.fixture(
    params=[
        *((name, NEEDED.get(name, {}), "zero_one") for name in sorted(POLICIES)),
        *FURTHER,
    ],
    ids=str,
)
def policy(request: pytest.FixtureRequest) -> SelectionPolicy:
    return make_policy(*request.param)


class TestEveryPolicy(SelectionPolicyContract):
    def test_it_is_known_by_its_own_name(self, policy: SelectionPolicy) -> None:
        assert POLICIES[policy.name] is type(policy)
