"""PyTorch to ONNX: a module with example inputs, or a saved program, with its batch left open where it can be."""

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from splitnet.errors import ModelError
from splitnet.tensors import BATCH

_log = logging.getLogger(__name__)


def export_module(made: object, path: Path, *, source: str) -> Path:
    """Export what a factory made: a module, in evaluation mode, or `(module, example inputs)`.

    Inputs are called like the parameters of `forward`; outputs like the keys of a mapping that it returns,
    `output` for a tensor, `output_0`, `output_1`, … for several. The first axis of every input as long as
    that of the first input is the batch; where the module works at one batch size only, it stays fixed.

    Args:
        made: what the factory returned; example inputs are a tensor, a sequence or a mapping of tensors.
        path: the ONNX file to write.
        source: what to call it in errors.

    Returns:
        `path`.

    Raises:
        ModelError: `made` is something else, has no example inputs, or cannot be exported.
    """
    module, given = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"{source}: returned {type(made).__name__}, expected a torch.nn.Module or (module, example inputs)"
        )
    given = getattr(module, "example_inputs", None) if given is None else given
    if given is None:
        raise ModelError(
            f"{source}: {type(module).__name__} comes without example inputs, which say the shape of its inputs; "
            "return (module, (tensor, ...)) or (module, {'name': tensor, ...}), or set module.example_inputs"
        )
    module.eval()
    examples = _by_parameter(module, given, source)
    names = _output_names(module, examples, source)
    batch = {name: {0: torch.export.Dim(BATCH)} for name in _batched(examples)}
    try:
        program = _export(module, _at_least_two(examples, batch), outputs=names, dynamic=batch)
    except Exception as err:  # noqa: BLE001  # torch passes on whatever the module's own code raises
        try:
            program = _export(module, examples, outputs=names, dynamic={})
        except Exception as fixed_err:
            raise ModelError(f"{source}: torch cannot export it: {_reason(fixed_err)}") from fixed_err
        _log.warning("%s: exported at a fixed batch, since no other works: %s", source, _reason(err))
    return _save(program, path)


def export_program(program_file: Path, path: Path) -> Path:
    """Export a program that `torch.export.save` wrote; an axis is open where it is open in the program.

    Raises:
        ModelError: the file is no such program, or it cannot be exported.
    """
    try:
        with _quiet():
            saved = torch.export.load(program_file)
    except Exception as err:
        # Zip, pickle and schema errors, each of its own kind.
        raise ModelError(
            f"{program_file}: not a program of torch.export.save that torch {torch.__version__} reads; "
            "save it again with this release"
        ) from err
    try:
        with _quiet():
            program = torch.onnx.export(saved, dynamo=True, verbose=False)
    except Exception as err:
        # The exporter has no error class of its own for operators that it does not know.
        raise ModelError(f"{program_file}: torch cannot export it: {_reason(err)}") from err
    return _save(program, path)


def _by_parameter(module: torch.nn.Module, given: object, source: str) -> dict[str, torch.Tensor]:
    named = given if isinstance(given, Mapping) else {}
    positional = given if isinstance(given, tuple | list) else () if isinstance(given, Mapping) else (given,)
    try:
        bound = inspect.signature(module.forward).bind(*positional, **named)
    except TypeError as err:
        raise ModelError(f"{source}: the example inputs do not fit forward: {err}") from err
    for name, value in bound.arguments.items():
        if not isinstance(value, torch.Tensor):
            raise ModelError(
                f"{source}: example input {name!r} is {type(value).__name__}, expected a tensor; wrap the module "
                "to fix other arguments and give each tensor a parameter of its own"
            )
    if not bound.arguments:
        raise ModelError(f"{source}: the example inputs are empty; give one tensor for each input of forward")
    return dict(bound.arguments)


def _output_names(module: torch.nn.Module, examples: dict[str, torch.Tensor], source: str) -> list[str] | None:
    """Run the module once and name its outputs; None, torch's own names, where they are nested."""
    try:
        with torch.no_grad():
            made = module(**examples)
    except Exception as err:
        # The module's own code runs here.
        raise ModelError(f"{source}: forward fails on the example inputs: {_reason(err)}") from err
    if isinstance(made, torch.Tensor):
        made = {"output": made}
    elif isinstance(made, tuple | list):
        made = {f"output_{index}": value for index, value in enumerate(made)}
    if not isinstance(made, Mapping) or not all(isinstance(value, torch.Tensor) for value in made.values()):
        return None
    names = [str(name) for name in made]
    return None if set(names) & set(examples) else names


def _batched(examples: dict[str, torch.Tensor]) -> list[str]:
    """Return the inputs whose first axis is as long as the first one's."""
    sizes = {name: value.shape[0] for name, value in examples.items() if value.ndim}
    return [name for name, size in sizes.items() if size == next(iter(sizes.values()))]


def _at_least_two(examples: dict[str, torch.Tensor], batched: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Repeat a batch of one: torch.export takes an axis of size 1 for one that is always 1 (it broadcasts)."""

    def widened(value: torch.Tensor) -> torch.Tensor:
        return torch.cat([value, value]) if value.shape[0] == 1 else value

    return {name: widened(value) if name in batched else value for name, value in examples.items()}


def _export(
    module: torch.nn.Module,
    examples: dict[str, torch.Tensor],
    *,
    outputs: list[str] | None,
    dynamic: Mapping[str, Any],
) -> torch.onnx.ONNXProgram | None:
    with _quiet():
        return torch.onnx.export(
            module,
            kwargs=examples,
            input_names=list(examples),
            output_names=outputs,
            dynamic_shapes={name: dynamic.get(name) for name in examples},
            dynamo=True,
            verbose=False,
        )


def _save(program: torch.onnx.ONNXProgram | None, path: Path) -> Path:
    assert program is not None, "torch.onnx.export returns a program when it is given no file"
    program.save(path)
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back torch's warnings and the graphs that it prints before an error: they are for its developers."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        _log.debug("torch said: %s", printed.getvalue())


def _reason(err: BaseException) -> str:
    """Return the beginning of the innermost error: torch wraps each step, with its own bug report form."""
    while err.__cause__ is not None:
        err = err.__cause__
    return f"{type(err).__name__}: {' '.join(str(err).split())[:200]}"
