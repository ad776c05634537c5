"""A guest that does nothing but call WASI's functions, with the arguments that a test gives it."""

from __future__ import annotations

from farcall.engine import Instance, Store
from farcall.engine.host.filesystem.interface import FileSystem
from farcall.engine.host.wasi.errno import Errno
from farcall.engine.host.wasi.families import CALLS
from farcall.engine.host.wasi.layouts import DIRENT, PREVIEW_1
from farcall.engine.host.wasi.rights import ALL, WRITING
from farcall.engine.host.wasi.system import WasiSystem
from tests.engine.guests import wasm

ROOT = 3
"""The first directory that the guest is given."""

_RESULT, _FIRST, _SECOND, _BUFFER = 0, 0x1000, 0x3000, 0x8000
"""Where results, paths and data lie in the guest's memory."""
SIZE = 2 * 65536
_DIRECTORY_FLAG = 2


def _text(names: tuple[str, ...]) -> str:
    imports, functions = [], []
    for name in names:
        kind = CALLS[name].type
        parameters = "".join(f" (param {parameter.name})" for parameter in kind.parameters)
        result = " (result i32)" if kind.results else ""
        imports.append(f'(import "{PREVIEW_1.module}" "{name}" (func ${name}{parameters}{result}))')
        loads = " ".join(f"local.get {index}" for index in range(len(kind.parameters)))
        functions.append(f'(func (export "{name}"){parameters}{result} {loads} call ${name})')
    return "(module " + " ".join(imports) + ' (memory (export "memory") 2) ' + " ".join(functions) + ")"


def _signed(value: int, kind: str) -> int:
    """An unsigned argument as the engine takes it."""
    bits = 32 if kind == "i32" else 64
    return value - (1 << bits) if value >> (bits - 1) else value


NAMES = tuple(name for name in CALLS if name.startswith(("fd_", "path_")))


class RawGuest:
    """Calls WASI's functions on files; each method gives the error number, or the result where there is one."""

    def __init__(
        self, store: Store, *systems: FileSystem, read_only: bool = False, most_handles: int = 64
    ) -> None:
        self.system = WasiSystem(["guest"], most_handles=most_handles)
        for number, files in enumerate(systems):
            handles = self.system.program.handles
            self.system.add_directory(f"/{number}", files.open_root(handles, read_only=read_only))
        module = store.engine.load_module(wasm(_text(NAMES)))
        self.instance: Instance = store.instantiate(module, self.system.imports)
        self.memory = self.instance.memory("memory")

    def call(self, name: str, *arguments: int) -> Errno:
        """A function with just these arguments."""
        wanted = CALLS[name].type.parameters
        signed = [_signed(value, kind.name) for kind, value in zip(wanted, arguments, strict=True)]
        return Errno(self.instance.function(name)(*signed))

    def put(self, address: int, content: bytes) -> tuple[int, int]:
        """Content in the memory; where, and how long."""
        self.memory.write(address, content)
        return address, len(content)

    def number_at(self, address: int, size: int = 4) -> int:
        """A number in the memory."""
        return int.from_bytes(self.memory.read(address, size), "little")

    def open(
        self,
        path: bytes,
        flags: int = 0,
        rights: int | None = None,
        *,
        directory: int = ROOT,
        follow: int = 1,
        file_flags: int = 0,
        inheriting: int = ALL,
    ) -> int | Errno:
        """Open a file or directory; its number. A directory is asked for without the rights that none can have."""
        if rights is None:
            rights = ALL & ~WRITING if flags & _DIRECTORY_FLAG else ALL
        errno = self.call(
            "path_open",
            directory,
            follow,
            *self.put(_FIRST, path),
            flags,
            rights,
            inheriting,
            file_flags,
            _RESULT,
        )
        return errno if errno else self.number_at(_RESULT)

    def on_path(self, name: str, path: bytes, *, directory: int = ROOT) -> Errno:
        """`path_create_directory`, `path_remove_directory` or `path_unlink_file`."""
        return self.call(name, directory, *self.put(_FIRST, path))

    def on_paths(
        self,
        name: str,
        path: bytes,
        new_path: bytes,
        *flags: int,
        directory: int = ROOT,
        new_directory: int = ROOT,
    ) -> Errno:
        """`path_rename`, or `path_link` with its flags."""
        old, new = self.put(_FIRST, path), self.put(_SECOND, new_path)
        return self.call(name, directory, *flags, *old, new_directory, *new)

    def symlink(self, target: bytes, path: bytes, *, directory: int = ROOT) -> Errno:
        """Make a symbolic link."""
        return self.call("path_symlink", *self.put(_SECOND, target), directory, *self.put(_FIRST, path))

    def readlink(self, path: bytes, room: int = 100, *, directory: int = ROOT) -> bytes | Errno:
        """The target of a symbolic link."""
        errno = self.call("path_readlink", directory, *self.put(_FIRST, path), _BUFFER, room, _RESULT)
        return errno if errno else bytes(self.memory.read(_BUFFER, self.number_at(_RESULT)))

    def status(self, path: bytes, *, directory: int = ROOT, follow: int = 1) -> dict[str, int] | Errno:
        """What is known of a file."""
        errno = self.call("path_filestat_get", directory, follow, *self.put(_FIRST, path), _BUFFER)
        return errno if errno else self._status()

    def fd_status(self, number: int) -> dict[str, int] | Errno:
        """What is known of an open file."""
        errno = self.call("fd_filestat_get", number, _BUFFER)
        return errno if errno else self._status()

    def _status(self) -> dict[str, int]:
        # The specification's $filestat: dev, ino, filetype, nlink, size, atim, mtim, ctim, at 8 bytes each.
        names = ("device", "inode", "type", "links", "size", "access", "modification", "change")
        return {
            name: self.number_at(_BUFFER + 8 * position, 1 if name == "type" else 8)
            for position, name in enumerate(names)
        }

    def write(self, number: int, content: bytes, *offset: int) -> int | Errno:
        """`fd_write`, or `fd_pwrite` with an offset."""
        where, size = self.put(_BUFFER, content)
        self.put(_FIRST, where.to_bytes(4, "little") + size.to_bytes(4, "little"))
        errno = self.call("fd_pwrite" if offset else "fd_write", number, _FIRST, 1, *offset, _RESULT)
        return errno if errno else self.number_at(_RESULT)

    def read(self, number: int, size: int, *offset: int) -> bytes | Errno:
        """`fd_read`, or `fd_pread` with an offset."""
        self.put(_FIRST, _BUFFER.to_bytes(4, "little") + size.to_bytes(4, "little"))
        errno = self.call("fd_pread" if offset else "fd_read", number, _FIRST, 1, *offset, _RESULT)
        return errno if errno else bytes(self.memory.read(_BUFFER, self.number_at(_RESULT)))

    def entries(self, number: int, room: int = 4096, cookie: int = 0) -> list[tuple[bytes, int, int]] | Errno:
        """Names, types and cookies of a directory's entries, as far as one call has them whole."""
        errno = self.call("fd_readdir", number, _BUFFER, room, cookie, _RESULT)
        if errno:
            return errno
        content = self.memory.read(_BUFFER, self.number_at(_RESULT))
        found: list[tuple[bytes, int, int]] = []
        while len(content) >= DIRENT.size:
            next_cookie, _, length, kind = DIRENT.unpack_from(content)
            if len(content) < DIRENT.size + length:
                break
            found.append((bytes(content[DIRENT.size : DIRENT.size + length]), kind, next_cookie))
            content = content[DIRENT.size + length :]
        return found

    def close(self, number: int) -> Errno:
        """Close a descriptor."""
        return self.call("fd_close", number)
