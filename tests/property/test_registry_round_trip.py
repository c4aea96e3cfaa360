"""Whatever can be configured comes back as it was, and only differences are written."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clipper.core.config import Config
from clipper.core.types import NAME, Application, Deployment, Model, ModelId
from clipper.state.memory import MemoryStore
from clipper.state.registry import Registry

names = st.from_regex(NAME, fullmatch=True) | st.sampled_from(["a", "b", "c"])
texts = st.text()  # without lone surrogates, which JSON in UTF-8 cannot carry
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
model_ids = st.builds(ModelId, names, names)
int32 = st.integers(-(2**31), 2**31 - 1)
applications = st.builds(
    Application,
    name=names,
    default_output=texts,
    latency_slo_micros=int32,
    models=st.lists(names, max_size=3).map(tuple),
    policy=texts,
    policy_params=st.dictionaries(texts, values, max_size=3),
    loss=texts,
    on_overload=texts,
    confidence_threshold=st.floats(0, 1),
)
deployments = st.builds(Deployment, texts, texts, texts, texts, int32, texts)
models = st.builds(
    Model,
    id=model_ids,
    labels=st.lists(texts, max_size=3).map(tuple),
    container_name=texts,
    model_data_path=texts,
    batch_size=int32,
    deployment=st.none() | deployments,
    registered=int32,
)


def by_key(records: list[Any], key: str) -> dict[Any, Any]:
    return {getattr(record, key): record for record in records}


configs = st.builds(
    Config,
    st.lists(applications, max_size=4).map(lambda records: by_key(records, "name")),
    st.lists(models, max_size=4).map(lambda records: by_key(records, "id")),
    st.dictionaries(names, names, max_size=4),
)


@settings(deadline=None)
@given(st.lists(configs, min_size=1, max_size=4))
async def test_every_configuration_saved_is_the_one_loaded(history: list[Config]) -> None:
    store = MemoryStore()
    await store.open()
    registry = Registry(store)
    current = await registry.load()
    for config in history:
        current = await registry.save(current, config)
        loaded = await registry.load()
        assert loaded == current
        assert (loaded.applications, loaded.models, loaded.current) == (
            config.applications,
            config.models,
            config.current,
        )
