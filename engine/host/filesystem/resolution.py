"""Walking a path component by component, below a directory that it cannot leave.

WARNING: this is what keeps guests inside of the directories that they are given. The walk holds the directories that
it went through, the first being the one it may not leave. It goes down by one name at a time, never through a symbolic
link, and up only to a directory that it holds; the targets of symbolic links are read and walked in the same way. So
there is no step that could lead out, whatever happens to the tree meanwhile.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, Protocol, TypeVar

from farcall.engine.host.filesystem.paths import (
    DEPTH_LIMIT,
    LINK_LIMIT,
    NAME_LIMIT,
    PARENT,
    THIS,
    components,
)
from farcall.engine.host.wasi.errno import Errno, WasiError

Directory = TypeVar("Directory")
"""What stands for a directory: a descriptor of the host's, or a node of a tree."""


class Tree(Protocol[Directory]):
    """What a walk needs of a file system. Names are single components, and neither `.` nor `..`."""

    def enter(self, directory: Directory, name: bytes) -> Directory | bytes:
        """The directory of that name, or the target of the symbolic link. Raises WasiError: `NOENT`, `NOTDIR`."""

    def link_target(self, directory: Directory, name: bytes) -> bytes | None:
        """The target of the symbolic link of that name; None where there is none."""

    def leave(self, directory: Directory) -> None:
        """A directory that came from `enter` is not needed any more."""


class Place(Generic[Directory]):
    """Where a path leads: a directory, and a name in it, behind which there may be something. A context manager.

    Attributes:
        directory: the directory that the name is in, held until the place is left.
        name: a single component. Where the path ends in `.` or `..`, that; then `directory` is what it leads to.
        names_directory: whether the path ends with a slash, so that only a directory will do.
    """

    __slots__ = ("_held", "_tree", "directory", "name", "names_directory")

    def __init__(
        self,
        tree: Tree[Directory],
        directory: Directory,
        name: bytes,
        names_directory: bool,
        held: bool,
    ) -> None:
        self._tree = tree
        self._held = held  # the directory is to be left
        self.directory = directory
        self.name = name
        self.names_directory = names_directory

    @property
    def is_name(self) -> bool:
        """Whether there is a name, and not `.` or `..`."""
        return self.name not in (THIS, PARENT)

    def __enter__(self) -> Place[Directory]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the directory; a second time does nothing."""
        if self._held:
            self._held = False
            self._tree.leave(self.directory)


class _Walk(Generic[Directory]):
    """A walk that is under way."""

    def __init__(self, tree: Tree[Directory], root: Directory, path: bytes) -> None:
        self.tree = tree
        self.directories = [root]
        self.left = components(path)  # the next one is the last
        self.names_directory = path.endswith(b"/")
        self._links = 0

    def go_up(self) -> None:
        """One directory up."""
        if len(self.directories) == 1:
            raise WasiError(Errno.PERM, "a path that leads out of its directory")
        self.tree.leave(self.directories.pop())

    def go_down(self, name: bytes) -> None:
        """Into a directory, or on to the components of a symbolic link's target."""
        entered = self.tree.enter(self.directories[-1], name)
        if isinstance(entered, bytes):
            self.follow(entered)
        else:
            self.directories.append(entered)
            if len(self.directories) > DEPTH_LIMIT:
                raise WasiError(Errno.NAMETOOLONG, f"a path that is more than {DEPTH_LIMIT} directories deep")

    def follow(self, target: bytes) -> None:
        """Go on with the components of a symbolic link's target."""
        self._links += 1
        if self._links > LINK_LIMIT:
            raise WasiError(Errno.LOOP, f"more than {LINK_LIMIT} symbolic links")
        if not target:
            raise WasiError(Errno.NOENT, "an empty symbolic link")
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM, "a symbolic link to an absolute path")
        if not self.left and target.endswith(b"/"):
            self.names_directory = True
        self.left.extend(components(target))

    def run(self, follow: bool) -> bytes:
        """Walk all but the last component, and return that."""
        while True:
            name = self.left.pop()
            if len(name) > NAME_LIMIT:
                raise WasiError(Errno.NAMETOOLONG, f"a name of {len(name)} bytes")
            if name == PARENT:
                self.go_up()
            elif name != THIS:
                if self.left:
                    self.go_down(name)
                    continue
                if not (follow or self.names_directory):
                    return name
                target = self.tree.link_target(self.directories[-1], name)
                if target is None:
                    return name
                self.follow(target)
                continue
            if not self.left:
                return name


def walk(tree: Tree[Directory], root: Directory, path: bytes, *, follow: bool) -> Place[Directory]:
    """Where a path leads.

    Parameters:
        path: one that `check_path` lets through.
        follow: whether a symbolic link as the last component is followed; one with a slash behind it always is.

    Raises:
        WasiError: what is on the way is missing (`NOENT`), is no directory (`NOTDIR`), leads out (`PERM`), or goes in
            circles (`LOOP`).
    """
    progress = _Walk(tree, root, path)
    try:
        name = progress.run(follow)
        directory = progress.directories.pop()
    finally:
        for left in progress.directories[1:]:
            tree.leave(left)
    return Place(tree, directory, name, progress.names_directory, held=bool(progress.directories))
