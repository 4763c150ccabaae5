"""Execution providers: what computes a model, by short names, and which of them this onnxruntime has."""

from typing import Final

import onnxruntime as ort

from splitnet.errors import ConfigError

#: The one that every onnxruntime has; it computes what the others cannot.
CPU: Final = "cpu"

_ENDING = "ExecutionProvider"
# Elsewhere the short name is onnxruntime's own, in lower case and without its ending.
_SHORT = {"Dml": "directml", "NvTensorRTRTX": "tensorrt-rtx"}


def available_providers() -> tuple[str, ...]:
    """Return the short names of the providers that this onnxruntime has, the CPU first."""
    return tuple(sorted(_named(ort.get_available_providers()), key=lambda name: (name != CPU, name)))


def check_provider(provider: str) -> None:
    """Refuse a provider that cannot be used here.

    Raises:
        ConfigError: this onnxruntime does not have it; the message lists those that it has.
    """
    onnxruntime_names(provider)


def onnxruntime_names(provider: str) -> list[str]:
    """Return onnxruntime's own name of `provider`, with the CPU's behind it.

    Raises:
        ConfigError: this onnxruntime does not have it; the message lists those that it has.
    """
    available = _named(ort.get_available_providers())
    if provider not in available:
        known = provider in _named(ort.get_all_providers())
        raise ConfigError(
            f"provider {provider!r}: {'this build of onnxruntime does not have it' if known else 'unknown'}; "
            f"onnxruntime {ort.__version__} here has {', '.join(available_providers())}. "
            "Name one of these, or install the build of onnxruntime that has it"
        )
    return list(dict.fromkeys((available[provider], available[CPU])))


def _named(providers: list[str]) -> dict[str, str]:
    """Return onnxruntime's names by the short ones."""
    stems = {name.removesuffix(_ENDING): name for name in providers}
    return {_SHORT.get(stem, stem.lower()): name for stem, name in stems.items()}
