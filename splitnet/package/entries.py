"""What entries of a manifest are made of: tensors, files, and the types of their fields."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from splitnet.config import Frozen
from splitnet.errors import SplitNetError
from splitnet.tensors import TensorSpec

#: The two files of a package that its manifest does not list: itself, and the signature over it.
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} leaves the package")
    return path


RelativePath = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=512)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=2**53)]

#: The highest version of a model.
MAX_VERSION = 2**31
Version = Annotated[int, Field(ge=1, le=MAX_VERSION)]


class TensorEntry(Frozen):
    """A tensor's name, element type (numpy's name) and shape; the open axis is named `batch`."""

    name: Name
    dtype: str
    shape: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31)] | Literal["batch"], ...], Field(max_length=32)]

    @model_validator(mode="after")
    def _is_a_spec(self) -> Self:
        try:
            self.to_spec()
        except SplitNetError as err:
            raise ValueError(str(err)) from err
        return self

    @classmethod
    def from_spec(cls, spec: TensorSpec) -> "TensorEntry":
        """Return the entry of a TensorSpec."""
        return TensorEntry.model_validate({"name": spec.name, "dtype": spec.dtype, "shape": spec.shape})

    def to_spec(self) -> TensorSpec:
        """Return the entry as a TensorSpec."""
        return TensorSpec(self.name, self.dtype, tuple(self.shape))


class FileEntry(Frozen):
    """A file of the package, by which it is known again."""

    file: RelativePath
    sha256: Sha256
    size_bytes: Count
