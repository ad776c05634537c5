"""What a compile job is asked for and what it gives."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from farcall.engine.codegen.compiler import Optimization
from farcall.engine.codegen.linker import Image
from farcall.engine.codegen.target import Target, host_target
from farcall.engine.lowering import LoweringOptions
from farcall.engine.structure.module import Module

FOREGROUND = 0
"""Priority of what somebody waits for."""
AHEAD = 5
"""Priority of what will be called soon."""
BACKGROUND = 10
"""Priority of what makes running code faster."""
LEISURE = 20
"""Priority of what runs seldom, if at all; its jobs stand back further than others."""


@dataclass(frozen=True, slots=True)
class CompileJob:
    """Some functions of a module, to be compiled together.

    Attributes:
        module: decoded and validated.
        functions: indices in the function index space; functions that the module defines, each at most once.
        options: what the code does beside running the guest.
        optimization: how much work goes into the code.
        priority: who is served first; the lower, the sooner.
        seconds: processor time that it may take; None is what its size makes reasonable (`allowed_seconds`).
        target: the machine that the code is for.
        linked: whether the object is linked to an image. One that is not can refer to functions of other jobs.
    """

    module: Module
    functions: Sequence[int]
    options: LoweringOptions
    optimization: Optimization
    priority: int
    seconds: int | None = None
    target: Target = field(default_factory=host_target)
    linked: bool = True

    def halves(self) -> tuple[CompileJob, CompileJob]:
        """The same for the first and the other half of its functions: to find those for which it is not possible."""
        middle = len(self.functions) // 2
        return replace(self, functions=self.functions[:middle]), replace(
            self, functions=self.functions[middle:]
        )

    @property
    def key(self) -> Hashable:
        """What its result depends on: equal ones are one job."""
        return (
            self.module.digest,
            tuple(self.functions),
            self.options,
            self.optimization,
            self.target,
            self.linked,
        )


@dataclass(frozen=True, slots=True)
class CompiledImage:
    """What a compile job gave.

    Attributes:
        image: the linked code; None where the job is not to be linked.
        object: the relocatable object where it is not.
        seconds: processor time that it took, lowering and linking included.
        peak_memory: bytes of memory that its process had at most, what it shares with others included.
    """

    image: Image | None
    object: bytes | None
    seconds: float
    peak_memory: int

    def linked_image(self) -> Image:
        """The image of a job that was to be linked."""
        assert self.image is not None
        return self.image
