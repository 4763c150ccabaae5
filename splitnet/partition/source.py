"""Where a model comes from: an ONNX file as it is, or PyTorch that is exported to one first."""

import contextlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from splitnet.errors import ModelError, NotFoundError, OperatorError, SplitNetError

_FACTORY = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<factory>[A-Za-z_][\w.]*)")

# What torch.save writes: TorchScript, a pickled module or a state_dict, none of which torch.export reads.
_SAVED = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pth", ".safetensors"})

_PACKAGES = ("torch", "onnxscript")


def open_source(text: str, *, workdir: Path) -> Path:
    """Return the ONNX file that `text` names, exported into `workdir` where it is PyTorch.

    A factory and its module are run: open only sources that you trust.

    Args:
        text: the path of an ONNX file; `package.module:factory`, where the factory takes no arguments and
            returns a `torch.nn.Module` or `(module, example inputs)`; or the path of a `.pt2` program.
        workdir: an existing directory for the exported file, which is called after the factory or program.

    Raises:
        NotFoundError: there is no such file, module or factory.
        OperatorError: the packages that export PyTorch are not installed.
        ModelError: the source cannot be imported, is no module or program, or cannot be exported.
    """
    path = Path(text)
    factory = None if path.is_file() else _FACTORY.fullmatch(text)
    if factory is None and path.suffix in _SAVED:
        raise ModelError(
            f"{text}: weights alone, or TorchScript, have no graph that can be read; name a Python function that "
            "builds the module and loads them, as package.module:function, or save it with torch.export.save "
            "as .pt2"
        )
    if factory is None and path.suffix != ".pt2":
        return path
    if factory is None and not path.is_file():
        raise NotFoundError(f"{text}: no such file")
    _require_packages(text)
    # Only here, so that cutting ONNX files needs no torch.
    from splitnet.partition.torch_export import export_module, export_program  # noqa: PLC0415

    # What torch and the module print is not the command's answer, which is all that standard output is for.
    with contextlib.redirect_stdout(sys.stderr):
        if factory is None:
            return export_program(path, workdir / f"{path.stem}.onnx")
        made = _call(text, *factory.group("module", "factory"))
        return export_module(made, workdir / f"{factory['factory'].rpartition('.')[2]}.onnx", source=text)


def _require_packages(text: str) -> None:
    if missing := [package for package in _PACKAGES if importlib.util.find_spec(package) is None]:
        raise OperatorError(
            f"{text}: exporting from PyTorch needs {' and '.join(missing)}: install SplitNet with the extra, "
            "splitnet[train], or export the model to ONNX elsewhere"
        )


def _call(text: str, module_name: str, attribute: str) -> object:
    """Import the module, from the current directory too, and return what its factory makes."""
    sys.path.insert(0, "")
    try:
        found: object = _import(text, module_name)
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise NotFoundError(f"{text}: {module_name} has no {attribute}")
            found = getattr(found, part)
        if not callable(found):
            raise ModelError(f"{text}: {attribute} is {type(found).__name__}, expected a function")
        return found()
    except SplitNetError:
        raise
    except Exception as err:
        # Whatever another's code raises is reported as one line.
        raise ModelError(f"{text}: {attribute}() failed: {_in_a_line(err)}") from err
    finally:
        sys.path.remove("")


def _import(text: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        if err.name is not None and (name == err.name or name.startswith(f"{err.name}.")):
            hint = f"; write {name.removesuffix('.py')}" if name.endswith(".py") else ""
            raise NotFoundError(
                f"{text}: no module {err.name!r} is installed or in the current directory{hint}"
            ) from err
        raise ModelError(f"{text}: importing {name} failed: {err}") from err
    except Exception as err:
        raise ModelError(f"{text}: importing {name} failed: {_in_a_line(err)}") from err


def _in_a_line(err: Exception) -> str:
    return f"{type(err).__name__}: {' '.join(str(err).split())[:200]}"
