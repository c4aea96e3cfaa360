"""Saved models of frameworks as replicas: what a deployment says reaches the class."""

import asyncio
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clipper.core.types import Deployment, Input, InputType, ModelId, ReplicaId
from clipper.deploy.manager import ContainerSpec
from clipper.deploy.process.manager import ProcessManager
from clipper.rpc.replica import GrpcReplica

OWN = """
import joblib
from clipper_container import ModelContainer

class Own(ModelContainer):
    input_type = "doubles"

    def predict_batch(self, inputs):
        return [self.options.output] * len(inputs)
"""


@pytest.fixture
def classifier(tmp_path: Path) -> LogisticRegression:
    """A classifier, saved as model.joblib."""
    model = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    joblib.dump(model, tmp_path / "model.joblib")
    return model


async def answer(manager: ProcessManager, deployment: Deployment, number: float) -> object:
    """What one replica answers to one number, in the type that it says it takes."""
    replica_id = ReplicaId(ModelId("m", "1"), 0)
    container = await manager.start(ContainerSpec(replica_id, None, deployment))
    replica = GrpcReplica(replica_id, None, container.address, container.token)
    async with asyncio.timeout(30):
        await replica.connect()
        replica.input_type = replica.description.input_type or InputType.FLOATS
        width = "<f8" if replica.input_type is InputType.DOUBLES else "<f4"
        batch = await replica.predict([Input(np.array([number], width).tobytes())])
    await replica.close()
    return batch.outputs[0].value


async def test_the_output_that_is_asked_for_answers(
    processes: ProcessManager, classifier: LogisticRegression, tmp_path: Path
) -> None:
    deployment = Deployment("process", "sklearn", str(tmp_path), output="predict_proba")
    expected = classifier.predict_proba([[0.5]])[0]
    assert await answer(processes, deployment, 0.5) == pytest.approx(expected)


async def test_a_saved_model_may_bring_the_class_that_serves_it(
    processes: ProcessManager, classifier: LogisticRegression, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    saved = str(tmp_path / "model.joblib")
    path = f"{tmp_path}/own.py:Own"
    deployment = Deployment("process", "sklearn", path, model_data=saved, output="mine")
    assert await answer(processes, deployment, 0.5) == "mine"
