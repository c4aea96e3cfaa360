"""What a query needs to know, prepared from the configuration."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from clipper.abstraction.cache import PredictionCache
from clipper.abstraction.layer import Limits, ModelAbstractionLayer
from clipper.core.config import Config
from clipper.core.errors import InvalidInput
from clipper.core.metrics import Metrics
from clipper.core.outputs import output_of
from clipper.core.types import Application, ModelId
from clipper.serving.snapshot import Route, build_snapshot, strictest_slos
from tests.fakes.predicting import application, configuration

M1, M2, N1 = ModelId("m", "1"), ModelId("m", "2"), ModelId("n", "1")


async def route_of(app: Application, models: Sequence[str] = ("m:1", "m:2", "n:1")) -> Route:
    """The route of the only application, with these versions registered."""
    return build(configuration([app], models))[app.name]


def build(config: Config) -> dict[str, Route]:
    metrics = Metrics()
    layer = ModelAbstractionLayer(PredictionCache(0, metrics.cache), Limits(), metrics)
    for model in config.models.values():
        layer.add(model)
    return dict(build_snapshot(config, layer, metrics, lambda query: None))


async def test_every_application_has_a_route() -> None:
    assert build(Config()) == {}
    assert set(build(configuration([application("a"), application("b")], []))) == {"a", "b"}


async def test_a_link_follows_the_current_version() -> None:
    route = await route_of(application("a", "m"))
    assert list(route.models) == [M2]
    assert route.sole is route.models[M2]


async def test_without_a_link_there_is_nobody_to_ask() -> None:
    route = await route_of(application("a"))
    assert not route.models
    assert route.sole is None


async def test_a_link_to_a_model_without_versions_finds_nobody() -> None:
    route = await route_of(application("a", "m"), ["n:1"])
    assert not route.models
    assert route.sole is None


async def test_a_policy_with_a_state_chooses_anew_for_each_query() -> None:
    route = await route_of(application("a", "m", "n", policy="exp3"))
    assert list(route.models) == [M2, N1]
    assert route.sole is None


async def test_a_version_may_be_asked_for_whether_current_or_not() -> None:
    route = await route_of(application("a", "m"))
    for version, model in (("1", M1), ("2", M2)):
        served = route.requested(version)
        assert served is not None
        assert served.id == model


async def test_a_version_that_does_not_exist_is_refused_in_the_old_words() -> None:
    route = await route_of(application("a", "m"))
    message = "Requested version: 9 does not exist for model: m"
    with pytest.raises(InvalidInput) as refusal:
        route.requested("9")
    assert refusal.value.message == message
    assert refusal.value.hint == ""


async def test_a_version_of_a_model_that_is_not_linked_does_not_count() -> None:
    route = await route_of(application("a", "n"), ["m:7", "n:1"])
    with pytest.raises(InvalidInput, match="Requested version: 7 does not exist for model: n"):
        route.requested("7")


async def test_without_a_link_any_version_finds_nobody() -> None:
    assert (await route_of(application("a"))).requested("9") is None


@pytest.mark.parametrize(
    ("text", "value"), [("-1.0", -1.0), ("[1,2]", [1, 2]), ("None", "None"), ("", ""), ("1", 1)]
)
async def test_the_default_output_is_parsed_as_json_if_it_parses(text: str, value: object) -> None:
    route = await route_of(application("a", default_output=text))
    assert route.default == output_of(value)


async def test_a_model_is_held_to_the_strictest_of_its_applications() -> None:
    apps = [
        application("a", "m", latency_slo_micros=50_000),
        application("b", "m", "n", latency_slo_micros=20_000, policy="exp3"),
        application("c", latency_slo_micros=1000),
    ]
    config = configuration(apps, ["m:1", "m:2", "n:1", "o:1"])
    assert strictest_slos(config) == {M1: 0.02, M2: 0.02, N1: 0.02}


async def test_the_numbers_of_an_application_outlive_a_change() -> None:
    metrics = Metrics()
    layer = ModelAbstractionLayer(PredictionCache(0, metrics.cache), Limits(), metrics)
    app = application("a")
    before = build_snapshot(configuration([app], []), layer, metrics, lambda query: None)
    linked = replace(app, latency_slo_micros=5000)
    after = build_snapshot(configuration([linked], []), layer, metrics, lambda query: None)
    assert before["a"].stats is after["a"].stats
    assert after["a"].slo_s == 0.005


async def test_what_keeps_a_policy_from_its_work_is_said() -> None:
    params = {"candidate": "m:9"}
    canary = await route_of(application("a", "m", policy="canary", policy_params=params), ["m:1"])
    assert canary.trouble == "m:9, which it asks, is not deployed and linked"
    assert set(canary.models) == {M1}, "the one that is there answers"
    lost = await route_of(application("a", "m", policy="mine:Gone"), ["m:1"])
    assert "is in a file, and this daemon was given no folder" in lost.trouble
    assert not lost.models
    assert not (await route_of(application("a", "m"), ["m:1"])).trouble
