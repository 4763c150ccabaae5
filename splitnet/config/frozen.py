"""The base of everything that is read from a file: immutable, without unknown keys, each value of its own kind."""

from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

# What pydantic would make of text and of one another: 8 of "8" and of true, true of "yes" and of 1. Strict in all
# kinds, a model would refuse what files do have instead: lists where we keep tuples, and text for paths.
_EXACT = {"int", "float", "bool"}


def _make_exact(part: Any) -> None:  # noqa: ANN401  (a schema is dicts and lists of whatever)
    """Have numbers and truth values validated strictly, however deep in lists and unions they lie."""
    if isinstance(part, dict):
        if part.get("type") in _EXACT:
            part["strict"] = True
        for inner in part.values():
            _make_exact(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            _make_exact(inner)


class Frozen(BaseModel):
    """Base of everything read from a file: immutable, and an unknown key is an error.

    Neither text nor true stands for a number, nor a number or text for true; where fractions are taken, whole
    numbers are too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """See `_make_exact`."""
        schema = handler(source)
        _make_exact(schema)
        return schema
