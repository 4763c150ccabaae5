"""A machine that a tier runs on: as a file describes it, and as the planner counts with it."""

from collections.abc import Callable
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from splitnet.config import Frozen
from splitnet.cost.entries import Count, NotNegative, Positive, Size
from splitnet.errors import ConfigError

Precision = Literal["float32", "float16", "int8"]
_Precisions: TypeAlias = Annotated[tuple[Precision, ...], Field(min_length=1)]

#: What onnxruntime runs on any CPU.
_ANY_CPU: tuple[Precision, ...] = ("float32", "int8")


class Machine(Frozen):
    """A machine that a tier runs on.

    Attributes:
        name: its key in the file, or in the library.
        speed: relative to the machine that profiles, which is 1.0; a time there is divided by it.
        memory_bytes: what a program may use of its memory; None: not known, not limited.
        watts: what it draws while one thread computes, above idle; None: not known.
        precisions: what it computes with; without "float32" it runs quantised models only.
        cores: of its CPU; None: not known.
        description: free text for reports.
        source: where the figures come from.
    """

    name: str
    speed: Positive
    memory_bytes: Count | None = None
    watts: NotNegative | None = None
    precisions: _Precisions = _ANY_CPU
    cores: Count | None = None
    description: str = ""
    source: str = ""


class MachineEntry(Frozen):
    """A `[machine.NAME]` section; docs/site.md says what the keys mean."""

    library: str | None = None
    speed: Positive | None = None
    gflops: Positive | None = None
    memory: Size | None = None
    watts: NotNegative | None = None
    precisions: _Precisions | None = None
    cores: Count | None = None
    description: str | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _says_one_speed(self) -> Self:
        if self.speed is not None and self.gflops is not None:
            raise ValueError("both speed and gflops; expected one of them: they say the same")
        if self.speed is None and self.gflops is None and self.library is None:
            raise ValueError("no speed; give speed (of this machine's), gflops, or library")
        return self

    def over(self, base: "MachineEntry") -> "MachineEntry":
        """Return this entry with what it leaves out taken from `base`."""
        own = self.model_dump(exclude_none=True, exclude={"library"})
        kept = base.model_dump(exclude_none=True)
        if "speed" in own:
            kept.pop("gflops", None)
        return MachineEntry.model_validate(kept | own)

    def machine(self, name: str, reference_gflops: Callable[[], float] | None) -> Machine:
        """Return the machine, with an absolute speed as one relative to the machine that profiles.

        Args:
            name: its key.
            reference_gflops: measures the machine that profiles, GFLOP/s; called only where that is needed.

        Raises:
            ConfigError: its speed is absolute, and there is nothing to compare it with.
        """
        values = self.model_dump(exclude_none=True, exclude={"library", "speed", "gflops", "memory"})
        speed = self.speed
        if speed is None:
            if self.gflops is None or reference_gflops is None:
                raise ConfigError(
                    f"machine.{name}: {self.gflops} GFLOP/s, and the speed of the machine that profiles was not "
                    "measured; give `speed`, relative to that machine"
                )
            speed = self.gflops / reference_gflops()
        return Machine(name=name, speed=speed, memory_bytes=self.memory, **values)
