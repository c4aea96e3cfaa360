"""Calls to the query listener: predictions, feedback, metrics."""

from collections.abc import Iterable
from typing import Any

from clipper.admin.listener import Listener
from clipper.admin.messages import (
    MISSING,
    FeedbackResult,
    Prediction,
    QueryOptions,
    feedback_request,
    parse_batch,
    parse_feedback,
    parse_prediction,
    predict_batch_request,
    predict_request,
    request,
)


class QueryCalls:
    """What ClipperConnection offers for queries; `query` is the query listener.

    Inputs may be numpy arrays or anything else with `tolist`, bytes, text, or JSON values. Arrays
    of numpy and bytes are sent as they are, without JSON; the array's dtype has to be the input
    type's: int32, float32 or float64. Every call raises ClipperRefused where the daemon says no,
    ClipperUnreachable where no answer comes.
    """

    query: Listener

    def predict(
        self,
        app: str,
        input: Any,
        version: str | None = None,
        context: str | None = None,
        slo_ms: float | None = None,
        explain: bool = False,
    ) -> Prediction:
        """Ask an application for one prediction; a default answer says why in `explanation`."""
        options = QueryOptions(version, context, slo_ms, explain)
        return parse_prediction(self.query.call(predict_request(app, input, options)))

    def predict_batch(
        self,
        app: str,
        inputs: Iterable[Any],
        version: str | None = None,
        context: str | None = None,
        slo_ms: float | None = None,
        explain: bool = False,
    ) -> list[Prediction]:
        """Ask for a prediction of each input; answers come in the order of the inputs."""
        options = QueryOptions(version, context, slo_ms, explain)
        return parse_batch(self.query.call(predict_batch_request(app, inputs, options)))

    def feedback(
        self,
        app: str,
        label: Any,
        query_id: int | None = None,
        input: Any = MISSING,
        context: str | None = None,
    ) -> FeedbackResult:
        """Tell an application the true answer to a query, named by its id or by its input."""
        asked = feedback_request(app, label, query_id, input, context)
        return parse_feedback(self.query.call(asked))

    def inspect_instance(self) -> dict[str, Any]:
        """The daemon's metrics, in the old release's form."""
        metrics: dict[str, Any] = self.query.call(request("GET", "metrics"))
        return metrics

    def get_query_addr(self) -> str:
        """`host:port` of the query listener."""
        return self.query.address
