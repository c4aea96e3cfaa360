"""What became of the requests of an open loop: one column entry each, and their summary."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RELIABLE_LAG_MS = 5.0
REFUSALS = (429, 503)
MS = 1e3
INSTANT_S = 1e-9


@dataclass(frozen=True, slots=True)
class Summary:
    """A run, or the part of it that went to one target."""

    offered: int
    offered_per_s: float
    in_time: int
    """Answered by the model, and within the SLO."""
    goodput_share: float
    """Of what was offered, the share that was answered in time; 0 where nothing was offered."""
    late: int
    """Answered by the model after the SLO."""
    defaults: int
    """Answered with 200, but not by the model."""
    refused: int
    errors: int
    """Other statuses, broken connections, and no answer within the patience."""
    p50_ms: float | None
    """Latencies are those of all answers with 200, from the intended instant on."""
    p99_ms: float | None
    p999_ms: float | None
    send_lag_p99_ms: float
    """How late the generator itself sent what it had a connection for."""
    is_reliable: bool
    """Whether the generator kept its schedule."""
    cost_us: float
    """The generator's own processor time for each request, all targets together."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Columns with an entry for each request, in the order of their intended instants."""

    at_s: NDArray[np.float64]
    which: NDArray[np.uint8]
    """The number of its target."""
    latency_s: NDArray[np.float64]
    """From the intended instant to the answer's last byte; NaN where no answer came."""
    status: NDArray[np.int16]
    """0 where no answer came."""
    by_model: NDArray[np.bool_]
    """Answered with 200, and the body holds the target's marker."""
    lag_s: NDArray[np.float64]
    """Actual minus intended instant of sending; NaN where there was no connection to send on."""
    cpu_s: float
    started_s: float
    """The start, on the clock of `time.perf_counter`, which all processes of a machine share."""

    def summary(self, slo_s: float, target: int | None = None) -> Summary:
        """Of all requests, or of those for one target."""
        chosen = np.full(len(self.at_s), True) if target is None else self.which == target
        offered = int(chosen.sum())
        by_model = self.by_model & chosen
        in_time = int((by_model & (self.latency_s <= slo_s)).sum())
        answered = chosen & (self.status == 200)
        refused = int((chosen & np.isin(self.status, REFUSALS)).sum())
        p50_ms, p99_ms, p999_ms = percentiles_ms(self.latency_s[answered], (50, 99, 99.9))
        lag_ms = percentiles_ms(self.lag_s[np.isfinite(self.lag_s)], (99,))[0] or 0.0
        return Summary(
            offered=offered,
            offered_per_s=offered / max(float(self.at_s[-1]), INSTANT_S) if offered else 0.0,
            in_time=in_time,
            goodput_share=in_time / offered if offered else 0.0,
            late=int(by_model.sum()) - in_time,
            defaults=int((answered & ~by_model).sum()),
            refused=refused,
            errors=offered - int(answered.sum()) - refused,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            p999_ms=p999_ms,
            send_lag_p99_ms=lag_ms,
            is_reliable=lag_ms <= RELIABLE_LAG_MS,
            cost_us=self.cpu_s / max(1, len(self.at_s)) * 1e6,
        )


def percentiles_ms(values_s: NDArray[np.float64], ranks: tuple[float, ...]) -> list[float | None]:
    """Percentiles of seconds, in milliseconds; None of nothing."""
    if not len(values_s):
        return [None] * len(ranks)
    return [float(value) * MS for value in np.percentile(values_s, ranks)]
