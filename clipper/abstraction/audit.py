"""The guard of the approximate cache: is the output of a near input as good as the model's own?

A share of the hits is computed by the model as well, off the query's path, and compared. Audits
come in blocks, each an acceptance test of its own (Dodge and Romig 1929, "A Method of Sampling
Inspection"): at most ALLOWED audits of a block may disagree, and it is as long as it takes for that
to show, with 95 % confidence (`binomial.py`), that no more of the hits are wrong than the budget
says. For 1 % that makes 5 of 1,049. One disagreement too many ends the test at once, as nothing
could mend it: the guard switches off, for good.

What that means, whatever the model and for a budget of 1 %:

* If more hits are wrong than the budget allows, a block passes with a probability of at most 5 %.
  At five times the budget, it takes 120 audits on average to switch off.
* If a tenth of the budget is wrong, a block fails once in 1,200 times; if a fifth is, once in 50;
  if half is, four times in ten. So a budget is five times what one expects, or more.
* Each block begins anew, so that a guard which was content for long notices other inputs.

Comparing the running bound with the budget after each audit, from the first on at which it can be
below, would be quicker to accept and far too quick to condemn: where a tenth of the budget is
wrong, 26 in 100 are switched off at the first such look and 37 within 3,000 audits (in 4,000
simulated runs). A block is looked at once, so that its errors are what they are said to be.
"""

import numpy as np

from clipper.abstraction.binomial import trials_for, upper_bound
from clipper.abstraction.scores import agree
from clipper.core.errors import InvalidInput
from clipper.core.types import Output

ALLOWED = 5
"""Disagreements in a block. With fewer it is shorter, and more of the good ones fail."""


class Audit:
    """Which hits are checked, what came of it, and whether the cache may go on."""

    def __init__(
        self, share: float, budget: float, tolerance: float | None, rng: np.random.Generator
    ) -> None:
        """`share` of the hits is checked, and `budget` of them may be wrong.

        Raises:
            InvalidInput: no such share, budget or tolerance.
        """
        if not 0 < share <= 1:
            raise InvalidInput(f"The audited share is {share}; it is above 0 and at most 1.")
        if not 1e-6 <= budget < 1:
            raise InvalidInput(f"The budget is {budget}; it is below 1 and at least 0.000001.")
        if tolerance is not None and not tolerance >= 0:
            raise InvalidInput(f"The tolerance is {tolerance}; it is at least 0.")
        self.share = share
        self.budget = budget
        self.tolerance = tolerance
        self.block = trials_for(ALLOWED, budget)
        """Audits in a block."""
        self.audited = 0
        self.disagreed = 0
        self.reason = ""
        """Why it is off; empty while it is on."""
        self._rng = rng
        self._block = (0, 0)
        """Disagreements and audits in this block."""
        self._last_block = (0, 0)

    @property
    def is_on(self) -> bool:
        """Whether outputs may be served approximately."""
        return not self.reason

    @property
    def recent(self) -> tuple[int, int]:
        """Disagreements and audits in this block and the one before."""
        (disagreed, audited), (before, audited_before) = self._block, self._last_block
        return disagreed + before, audited + audited_before

    @property
    def upper_bound(self) -> float:
        """At most this share of the hits is wrong, at 95 %, by this block and the one before."""
        return upper_bound(*self.recent)

    def wants(self) -> bool:
        """Whether this hit is one to check."""
        return self._rng.random() < self.share

    def judge(self, served: Output, true: Output) -> None:
        """Compare what was served with what the model says; an audit that comes late is ignored."""
        if self.reason:
            return
        disagreed, audited = self._block
        is_wrong = not agree(served, true, self.tolerance)
        self.audited += 1
        self.disagreed += is_wrong
        self._block = disagreed, audited = disagreed + is_wrong, audited + 1
        if disagreed > ALLOWED:
            self.reason = (
                f"{disagreed} of {audited} audited hits disagreed; "
                f"a budget of {100 * self.budget:g} % allows {ALLOWED} of {self.block}."
            )
        elif audited == self.block:
            self._last_block, self._block = self._block, (0, 0)
