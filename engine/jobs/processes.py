"""The pool's side of its processes: the template process, and module processes for the modules that are compiled."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections import OrderedDict

from farcall.engine.errors import ExhaustionError
from farcall.engine.jobs.protocol import JOB, MODULE, READY
from farcall.engine.structure.module import Module

_IDLE_MODULES = 4
"""Module processes that a pool keeps while they have nothing to do."""
_IDLE_SECONDS = 10.0
"""How long the template process waits for another module before it ends."""


def _descriptor_of(module: Module) -> int:
    """A file with the module's bytes."""
    descriptor = os.memfd_create("module")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(module.source)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class TemplateProcess:
    """The process that has everything imported: started when first needed, ended when it has long been idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None  # guarded by _lock
        self._control: socket.socket | None = None  # guarded by _lock
        self._ready = False  # guarded by _lock
        self._modules = 0  # guarded by _lock
        self._timer: threading.Timer | None = None  # guarded by _lock
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def _forget(self) -> None:
        """In a forked process: the template process is its parent's."""
        self._lock = threading.Lock()
        if self._process is not None:
            self._process.returncode = 0  # not to be waited for from here
        if self._control is not None:
            self._control.close()
        self._process = self._control = self._timer = None
        self._modules = 0

    def open_module(self, module: Module, niceness: int, memory_limit: int) -> socket.socket:
        """The control socket of a new module process.

        Raises:
            ExhaustionError: no process can be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = _descriptor_of(module)
        try:
            with self._lock:
                self._send(MODULE.pack(niceness, memory_limit), [theirs.fileno(), source])
                self._modules += 1
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(source)
        return ours

    def module_closed(self) -> None:
        """A module process is no longer needed."""
        with self._lock:
            self._modules = max(self._modules - 1, 0)
            if not self._modules and self._process is not None and self._timer is None:
                self._timer = threading.Timer(_IDLE_SECONDS, self._close_if_idle)
                self._timer.daemon = True
                self._timer.start()

    def _send(self, content: bytes, descriptors: list[int]) -> None:
        """Send a message; to a new process if there is none, or none any more."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                socket.send_fds(self._control, [content], descriptors)
                return
            self._end()
        try:
            control = self._start()
        except OSError as error:
            self._end()
            raise ExhaustionError(f"no process to compile in can be started: {error}") from error
        # It reads this when it is ready; nobody waits for that, who could not be told then that he need not any more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `check` tells
            socket.send_fds(control, [content], descriptors)

    def check(self) -> None:
        """A module process did not answer. Raises ExhaustionError: none can be had, as this one cannot be started."""
        with self._lock:
            if self._control is None or self._ready:
                return
            try:
                self._ready = self._control.recv(len(READY), socket.MSG_DONTWAIT) == READY
            except BlockingIOError:
                return
            except OSError:
                self._ready = False
            if not self._ready:
                self._end()
                raise ExhaustionError("no process to compile in can be started: it ended before it was ready")

    def _start(self) -> socket.socket:
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "farcall.engine.jobs.template", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # what interrupts this process from the terminal is none of its business
            )
        self._ready = False
        return self._control

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()  # it has nothing to finish; its children see their own sockets closed
            self._process.wait()
        self._process = self._control = None

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():
                self._timer = None
                if not self._modules:
                    self._end()

    def close(self) -> None:
        """End the process; another is started if it is needed."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._end()


TEMPLATE = TemplateProcess()
"""One is enough for all pools of this process."""


class ModuleProcess:
    """A process that has a module decoded."""

    def __init__(self, module: Module, niceness: int, memory_limit: int) -> None:
        """Start one. Raises ExhaustionError: no process can be started."""
        self.digest = module.digest
        self.users = 0  # guarded by the lock of `ModuleProcesses`
        self._control = TEMPLATE.open_module(module, niceness, memory_limit)

    def send(self, descriptors: list[int]) -> None:
        """Have a job begun. Raises OSError: the process is gone."""
        socket.send_fds(self._control, [JOB], descriptors)

    def close(self) -> None:
        """Let it end; jobs that it has begun are not heard of any more."""
        self._control.close()
        TEMPLATE.module_closed()

    def forget(self) -> None:
        """In a forked process: it is the parent's."""
        self._control.close()


class ModuleProcesses:
    """The module processes of a pool, one for each module. Thread-safe."""

    def __init__(self, niceness: int, memory_limit: int) -> None:
        self._niceness = niceness
        self._memory_limit = memory_limit
        self._lock = threading.Lock()
        self._processes: OrderedDict[str, ModuleProcess] = OrderedDict()  # guarded by _lock; last used last

    def acquire(self, module: Module) -> ModuleProcess:
        """The module's process, to be released. Raises ExhaustionError: none can be started."""
        with self._lock:
            process = self._processes.get(module.digest)
            if process is None:
                process = self._processes[module.digest] = ModuleProcess(
                    module, self._niceness, self._memory_limit
                )
            self._processes.move_to_end(module.digest)
            process.users += 1
            return process

    def release(self, process: ModuleProcess, *, usable: bool) -> None:
        """A job is done. A process that is not usable any more is replaced when its module is wanted again."""
        with self._lock:
            process.users -= 1
            if self._processes.get(process.digest) is not process:
                if not process.users:
                    process.close()
            elif not usable:
                del self._processes[process.digest]
                if not process.users:
                    process.close()
            else:
                self._keep_idle(_IDLE_MODULES)

    def close_idle(self) -> None:
        """Let those end that have nothing to do."""
        with self._lock:
            self._keep_idle(0)

    def _keep_idle(self, count: int) -> None:
        idle = [process for process in self._processes.values() if not process.users]
        for process in idle[: max(len(idle) - count, 0)]:
            del self._processes[process.digest]
            process.close()

    def forget(self) -> None:
        """In a forked process: they are the parent's."""
        for process in self._processes.values():
            process.forget()
