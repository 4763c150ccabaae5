"""One onnxruntime session: how models are opened and run, and onnxruntime's errors as ours."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from splitnet.errors import ConfigError, InvalidArgumentError, ModelError
from splitnet.onnx_session.optimised import OptimisedFile
from splitnet.onnx_session.providers import CPU, onnxruntime_names
from splitnet.tensors import Tensors

logger = logging.getLogger(__name__)

#: How much onnxruntime rewrites a graph: bit-equality of split and whole holds up to "basic".
Optimisation = Literal["none", "basic", "all"]

_LEVELS: dict[Optimisation, Any] = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

# onnxruntime's own exceptions have no base class of their own.
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    found for found in vars(ort_state).values() if isinstance(found, type) and issubclass(found, Exception)
)


@dataclass(frozen=True, slots=True)
class LinkedModel:
    """An ONNX file in memory whose weights are external data in a folder.

    Attributes:
        content: the ONNX file's bytes.
        folder: what the locations in it are relative to.
    """

    content: bytes
    folder: Path


#: A model to open: an ONNX file's bytes, its path, or its bytes with the folder of its external data.
OnnxModel: TypeAlias = bytes | Path | LinkedModel


class OnnxSession:
    """A loaded ONNX model; on the CPU it computes on one thread.

    Thread-safe: onnxruntime runs one session from several threads, and nothing here is shared.

    Attributes:
        name: what it is called in errors.
        inputs: names of what it takes.
        outputs: names of what it makes.
    """

    def __init__(
        self,
        model: OnnxModel,
        *,
        name: str,
        optimisation: Optimisation = "all",
        profile_prefix: Path | None = None,
        prepack: bool = True,
        provider: str = CPU,
        optimised: OptimisedFile | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: the ONNX file; external data need its path, or the folder that they are in.
            name: what to call it in errors.
            optimisation: how much onnxruntime may rewrite it.
            profile_prefix: where onnxruntime's profiler writes to; None does not profile.
            prepack: whether weights are copied into the order that kernels like best. Without, external ones stay
                in their files, and a model opens at once: 256 MiB of them in 1 ms instead of 230.
            provider: what computes it, by its short name; the CPU computes what that one cannot.
            optimised: where the model is kept as onnxruntime optimises it for this machine; None keeps it nowhere.
                Only for what is in memory without external data, on the CPU, at optimisation "all".

        Raises:
            ModelError: onnxruntime refuses the model.
            ConfigError: this onnxruntime does not have the provider, or it does not start.
        """
        self.name = name
        self._providers = onnxruntime_names(provider)
        options = _options(optimisation, profile_prefix, prepack=prepack)
        keeps = isinstance(model, bytes) and provider == CPU and optimisation == "all"
        if optimised is not None and keeps:
            self._session = self._kept(model, options, optimised)
        else:
            self._session = self._opened(model, options)
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def _opened(self, model: OnnxModel, options: ort.SessionOptions) -> ort.InferenceSession:
        if isinstance(model, LinkedModel):
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(model.folder))
        source = model.content if isinstance(model, LinkedModel) else model
        try:
            # Its own fallback would print that a provider does not start, and go on without it.
            session = ort.InferenceSession(source, options, providers=self._providers, enable_fallback=False)
        except _ORT_ERRORS as err:
            raise ModelError(f"{self.name}: onnxruntime cannot load it: {err}") from err
        if session.get_providers()[0] != self._providers[0]:
            raise ConfigError(
                f"{self.name}: {self._providers[0]} does not start on this machine, most often for want of a "
                "library or a driver; onnxruntime says why on stderr"
            )
        return session

    def _kept(
        self, model: OnnxModel, options: ort.SessionOptions, optimised: OptimisedFile
    ) -> ort.InferenceSession:
        """Open a model as it was optimised before, or optimise it and keep that."""
        if (kept := optimised.read()) is not None:
            options.graph_optimization_level = _LEVELS["none"]
            try:
                return self._opened(kept, options)
            except ModelError as err:
                logger.warning("%s: the optimised model that was kept is optimised anew: %s", self.name, err)
            options.graph_optimization_level = _LEVELS["all"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "optimised.onnx"
            options.optimized_model_filepath = str(path)
            session = self._opened(model, options)
            optimised.write(path.read_bytes())
        return session

    def run(self, tensors: Tensors) -> Tensors:
        """Run once on the tensors that the model takes (others are ignored) and return its outputs by name.

        Raises:
            InvalidArgumentError: a tensor is missing or does not fit.
            ModelError: the model fails on these values.
        """
        if missing := [name for name in self.inputs if name not in tensors]:
            raise InvalidArgumentError(f"{self.name}: missing {missing}; it takes {list(self.inputs)}")
        feeds = {name: tensors[name] for name in self.inputs}
        try:
            values: list[Any] = self._session.run(self.outputs, feeds)
        except (ort_state.InvalidArgument, ValueError, TypeError, RuntimeError) as err:
            raise InvalidArgumentError(f"{self.name}: the tensors do not fit: {err}") from err
        except _ORT_ERRORS as err:
            raise ModelError(f"{self.name}: onnxruntime failed: {err}") from err
        return dict(zip(self.outputs, values, strict=True))

    def end_profiling(self) -> Path:
        """Stop the profiler and return the file that it wrote."""
        return Path(self._session.end_profiling())


def _options(optimisation: Optimisation, profile_prefix: Path | None, *, prepack: bool) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = _LEVELS[optimisation]
    # One thread and no spinning: on a busy machine spinning was 1.6 times slower and burns a core.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; its warnings on rewritten graphs say nothing of use to a person
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    return options
