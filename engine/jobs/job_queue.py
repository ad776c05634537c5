"""Who is next: by priority, and among equals a module that has had less."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """What the queue has to know of a job."""

    @property
    def priority(self) -> int:
        """The lower, the sooner."""

    @property
    def digest(self) -> str:
        """Of its module."""


Job = TypeVar("Job", bound=Queued)


class JobQueue(Generic[Job]):
    """Jobs that wait. Not thread-safe.

    A module with many jobs must not keep another's few from their turn: of the modules that have jobs of the highest
    priority the one with the fewest under way is served, and of these the one that was served longest ago.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, OrderedDict[str, deque[Job]]] = {}
        self._under_way: Counter[str] = Counter()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, job: Job) -> None:
        """Let a job wait, behind those of its module and priority."""
        modules = self._waiting.setdefault(job.priority, OrderedDict())
        modules.setdefault(job.digest, deque()).append(job)
        self._length += 1

    def remove(self, job: Job) -> None:
        """Let a job that waits wait no longer. Its priority must be the one that it was pushed with."""
        modules = self._waiting[job.priority]
        modules[job.digest].remove(job)
        self._length -= 1
        self._tidy(job.priority, job.digest)

    def pop(self) -> Job:
        """Take the next one; it is under way until it is `done`. Raises IndexError: nobody waits."""
        if not self._waiting:
            raise IndexError("nothing waits")
        priority = min(self._waiting)
        modules = self._waiting[priority]
        digest = min(
            modules, key=self._under_way.__getitem__
        )  # the first of several is the one served longest ago
        job = modules[digest].popleft()
        modules.move_to_end(digest)
        self._length -= 1
        self._tidy(priority, digest)
        self._under_way[digest] += 1
        return job

    def most_urgent(self) -> int:
        """The priority of the next one. Raises ValueError: nobody waits."""
        return min(self._waiting)

    def done(self, job: Job) -> None:
        """A job that was taken is under way no longer."""
        self._under_way[job.digest] -= 1
        if not self._under_way[job.digest]:
            del self._under_way[job.digest]

    def waiting(self) -> Iterable[Job]:
        """All that wait, in no order that matters."""
        return [job for modules in self._waiting.values() for jobs in modules.values() for job in jobs]

    def _tidy(self, priority: int, digest: str) -> None:
        modules = self._waiting[priority]
        if not modules[digest]:
            del modules[digest]
        if not modules:
            del self._waiting[priority]
