"""The residual network of the GPU's benchmark."""

import json
from pathlib import Path

import numpy as np
import pytest
from models.residual import PART, Residual, network


def test_its_large_form_has_as_many_parameters_as_resnet_50() -> None:
    assert sum(each.numel() for each in network(64, (3, 4, 6, 3)).parameters()) == 25_557_032


@pytest.fixture
def small(tmp_path: Path) -> Residual:
    data = tmp_path / "network.json"
    data.write_text(json.dumps({"side": 32, "width": 8, "blocks": [1, 1]}))
    return Residual(str(data))


def test_a_batch_of_several_parts_is_classified_as_each_image_is_alone(small: Residual) -> None:
    rng = np.random.default_rng(1)
    images = [
        np.full((32, 32, 3), rng.integers(256, size=3), np.uint8).tobytes() for _ in range(PART + 3)
    ]
    together = small.predict_batch(images).tolist()
    assert together == [small.predict_batch([image])[0] for image in images]
    assert len(set(together)) > 1


def test_it_warms_up_with_the_sizes_of_parts(
    small: Residual, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(small, "predict_batch", lambda images: sizes.append(len(images)))
    small.warm_up()
    assert sizes == [1, 2, 4, 8, 16, 32]
