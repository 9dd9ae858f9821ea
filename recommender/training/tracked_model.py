"""A SavedModel as MLflow serves it: MLflow runs this file when it loads the model, so nothing is pickled."""

from typing import Any

import mlflow
import numpy as np
import tensorflow as tf


class TrackedModel(mlflow.pyfunc.PythonModel):
    """Answers with the outputs of a SavedModel's signature, by name."""

    def load_context(self, context: Any) -> None:
        """Load the SavedModel."""
        self._model = tf.saved_model.load(context.artifacts["saved_model"])

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the signature.

        Args:
            context: MLflow's.
            model_input: An array for each input that the signature names.
            params: None are known.

        Returns:
            An array for each output.
        """
        answer = self._model.signatures["serving_default"](
            **{name: tf.constant(np.asarray(values)) for name, values in model_input.items()}
        )
        return {name: values.numpy() for name, values in answer.items()}


mlflow.models.set_model(TrackedModel())
