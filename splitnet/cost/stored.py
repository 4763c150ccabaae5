"""A profile on disk: measured on one machine, to plan for it on another."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from splitnet.config import Frozen, describe
from splitnet.cost.entries import Count, NotNegative, Positive
from splitnet.errors import ConfigError, NotFoundError
from splitnet.whole_file import write_whole

#: The version of the format that this module writes and reads.
FORMAT_VERSION: Final = 1


class ProfiledMachine(Frozen):
    """Where a profile was measured.

    Attributes:
        name: its host name, or what it was called on the command line.
        cpu: model name of its processor; "" where the system does not tell.
        cores: that the program may use.
    """

    name: str
    cpu: str = ""
    cores: Count


class NodeTime(Frozen):
    """What one node took.

    Attributes:
        name: of the node, as SplitNet names it.
        op: its operator.
        ms: scaled, so that the nodes add up to the whole.
    """

    name: str
    op: str
    ms: NotNegative


class StoredProfile(Frozen):
    """What a model cost on some machine, on one thread for one sample.

    Attributes:
        format_version: of the file.
        model_sha256: digest of the ONNX file.
        axis_sizes: sizes that open axes were fixed to.
        machine: where it was measured.
        whole_ms: median time of the whole model with all optimisations.
        basic_ms: sum of the nodes' times as measured, at basic optimisation.
        runs: that `whole_ms` is the median of.
        nodes: in the order of the graph.
    """

    format_version: Literal[1] = FORMAT_VERSION
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    axis_sizes: dict[str, Count] = Field(default_factory=dict)
    machine: ProfiledMachine
    whole_ms: Positive
    basic_ms: NotNegative
    runs: Count
    nodes: Annotated[tuple[NodeTime, ...], Field(min_length=1)]

    @cached_property
    def node_ms(self) -> Mapping[str, float]:
        """The time of each node, ms."""
        return {node.name: node.ms for node in self.nodes}


def read_profile(path: Path) -> StoredProfile:
    """Read a profile.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it cannot be read, is no JSON, or a key is unknown, missing or out of range; the message
            names the file and the key's path.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        return StoredProfile.model_validate(values)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except ValidationError as err:
        raise ConfigError(f"{path}: not a profile: {describe(err, StoredProfile)}") from err
    except (OSError, ValueError, RecursionError) as err:  # of json: syntax, 5,000 digits, deep nesting
        raise ConfigError(f"{path}: not a readable JSON file: {err}") from err


def write_profile(profile: StoredProfile, path: Path) -> None:
    """Write a profile; a file that is there is replaced at once, never half.

    Raises:
        OperatorError: the disk refuses.
    """
    write_whole(profile.model_dump_json(indent=1).encode() + b"\n", path)
