"""TensorFlow Lite models on the CPU, run by LiteRT."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.models.opened import Opened, opened


class LiteModel:
    """A model with one input and one single-threaded interpreter for each calling thread (none can be shared)."""

    def __init__(self, weights: Path | Opened):
        self._content = opened(weights, "the weights").content
        self._local = threading.local()

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        """The outputs for one input, in the order of the file."""
        interpreter: Any = getattr(self._local, "interpreter", None)
        if interpreter is None:
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            self._local.interpreter = interpreter
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
