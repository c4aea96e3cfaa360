"""Serves any model that MLflow saved, by its python_function flavour.

The signature says what goes in: tensors and columns of one kind of number as arrays, other columns
as JSON records, one text as text. The model is given what it was saved for, with names and types.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when the package is imported

import mlflow.pyfunc
import numpy as np
import pandas as pd
from clipper_container import LoadError, ModelContainer
from clipper_container.answers import answer, check_output
from clipper_container.forms import TEXT, Form, Forms
from clipper_container.saved import place_of, reading
from mlflow.types import DataType

NUMBERS = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


class MlflowContainer(ModelContainer):
    """Answers with what the model predicts: values, or a record for each input."""

    def __init__(self, model_data: str) -> None:
        """Load the folder."""
        super().__init__(model_data)
        path = place_of(model_data)
        if not (path / "MLmodel").is_file():
            raise LoadError(f"{path}: a model of MLflow's is a folder with a file MLmodel.")
        self._forms: Forms | None = None
        self._columns: Sequence[Any] = ()
        with reading(path, "a model of MLflow's"):
            self.model = mlflow.pyfunc.load_model(str(path))
            metadata = self.model.metadata
            if schema := metadata.get_input_schema():
                self._read(schema)
            example = metadata.load_input_example(str(path))
        if (sample := self._first(example)) is not None:
            self.sample_input, self.sample_is_guess = sample, False
        flavour = metadata.flavors["python_function"]["loader_module"]
        self.about = f"MLflow {mlflow.__version__}, {flavour}"

    def _read(self, schema: Any) -> None:
        if schema.is_tensor_spec():
            self._forms = Forms({each.name or "": form_of(each) for each in schema.inputs})
            self.describe_inputs(self._forms)
            return
        types = set(schema.input_types())
        if types == {DataType.string} and not schema.has_input_names():
            self.input_type = self.input_form = "strings"
            return
        self._columns = schema.inputs
        if len(types) == 1 and types <= set(NUMBERS):
            dtype = types.pop().to_numpy()
            self._forms = Forms.one(Form(dtype, (len(self._columns),)))
            self.describe_inputs(self._forms)
        else:
            self.input_type = "json"
            self.input_form = f"{{{', '.join(f'{each.name}: {each.type!r}' for each in schema)}}}"

    def predict_batch(self, inputs: Any) -> Any:
        """One prediction for each input."""
        outputs = self.model.predict(self._given(inputs))
        if isinstance(outputs, pd.DataFrame):
            outputs = {str(name): outputs[name].to_numpy() for name in outputs}
        if isinstance(outputs, Mapping):
            return answer(outputs, self.options.output)
        check_output(self.options.output, ["the one without a name"])
        return outputs

    def _given(self, inputs: Any) -> Any:
        """The inputs as the model was saved to take them."""
        names = [each.name or place for place, each in enumerate(self._columns)]
        if self._forms:
            arrays = self._forms.columns(inputs)
            if not self._columns:
                return arrays.get("", arrays)
            return pd.DataFrame(arrays[""], columns=names)
        if self._columns:
            return self._records(inputs, names)
        is_records = isinstance(inputs, list) and isinstance(inputs[0], dict)
        return pd.DataFrame(inputs) if is_records else inputs

    def _records(self, inputs: Any, names: list[Any]) -> pd.DataFrame:
        needed = {each.name for each in self._columns if each.name and each.required}
        for index, record in enumerate(inputs):
            if missing := needed - record.keys() if isinstance(record, dict) else needed:
                raise ValueError(
                    f"Input {index} of the batch has no {', '.join(sorted(missing))}; "
                    f"it takes {self.input_form}."
                )
        frame = pd.DataFrame(inputs, columns=names)
        # JSON has one kind of number, and MLflow is strict about them.
        dtypes = {
            name: each.type.to_pandas()
            for name, each in zip(names, self._columns, strict=True)
            if each.required and each.type in (*NUMBERS, DataType.datetime)
        }
        return frame.astype(dtypes)

    def _first(self, example: Any) -> Any:
        """One input of the example that was saved with the model, if it is of a known form."""
        if isinstance(example, pd.DataFrame) and self._columns:
            row = example.iloc[0]
            only = self._forms.only if self._forms else None
            return row.to_numpy(only.dtype) if only else row.to_dict()
        if isinstance(example, np.ndarray) and self._forms:
            return example[0]
        return None


def form_of(spec: Any) -> Form:
    """What one tensor of a signature takes; its first dimension is the batch."""
    sizes = (None if size < 0 else size for size in spec.shape[1:])
    return Form(TEXT if spec.type.kind in "OUS" else spec.type, tuple(sizes))
