"""One onnxruntime session: how a segment is loaded and run."""

import time
from typing import Any

import onnxruntime as ort

from splitnet.errors import ModelError
from splitnet.tensors import Tensors

#: Levels by the names that users see; bit-equality of split and whole holds up to "basic".
OPTIMISATIONS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


class Segment:
    """A loaded ONNX segment.

    Thread-safe: onnxruntime runs one session from several threads, and nothing here is shared.
    """

    def __init__(
        self,
        model: bytes,
        *,
        name: str,
        optimisation: str = "all",
        emulated_speed: float | None = None,
    ) -> None:
        """Load a serialised ONNX model.

        Args:
            model: the ONNX file's bytes.
            name: what to call it in errors.
            optimisation: one of `OPTIMISATIONS`.
            emulated_speed: run at this fraction of this machine's speed, by sleeping for the rest of the
                scaled CPU time of each run; None runs at full speed.

        Raises:
            ModelError: onnxruntime refuses the model.
        """
        options = ort.SessionOptions()
        options.graph_optimization_level = OPTIMISATIONS[optimisation]
        # One thread and no spinning: on a busy machine spinning was 1.6 times slower and burns a core.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.name = name
        self._emulated_speed = emulated_speed
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as err:
            raise ModelError(f"segment {name!r}: onnxruntime refuses it: {err}") from err
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, tensors: Tensors) -> Tensors:
        """Run once on the tensors that the segment takes (others are ignored) and return its outputs by name.

        Raises:
            ModelError: onnxruntime fails on these values.
        """
        feeds = {name: tensors[name] for name in self.inputs}
        start = time.thread_time()
        try:
            values: list[Any] = self._session.run(None, feeds)
        except Exception as err:
            raise ModelError(f"segment {self.name!r}: onnxruntime failed: {err}") from err
        if self._emulated_speed is not None:
            # The one compute thread is this one, so its CPU time is the whole of the run's.
            time.sleep((time.thread_time() - start) * (1.0 / self._emulated_speed - 1.0))
        return dict(zip(self.outputs, values, strict=True))
