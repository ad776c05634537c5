"""The few functions of the C library that the runtime needs, for Python and as addresses for machine code."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import select
import time
from collections.abc import Callable, Sequence
from typing import cast

_library = ctypes.CDLL(None, use_errno=True)

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXECUTE = 0, 1, 2, 4
_MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS, _MAP_NORESERVE = 0x02, 0x10, 0x20, 0x4000
_MAP_FIXED_NOREPLACE = 0x100000
_MAP_FAILED = ctypes.c_void_p(-1).value

_mmap = _library.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_mprotect = _library.mprotect
_mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_munmap = _library.munmap
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

_madvise = _library.madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_MADV_DONTNEED = 4

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class _PollDescriptor(ctypes.Structure):
    _fields_ = (("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("returned", ctypes.c_short))


class _Duration(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


POLLIN, POLLOUT = select.POLLIN, select.POLLOUT

_ppoll = _library.ppoll
_ppoll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _check_number(number: int) -> None:
    """For the functions of pthreads, which return the error's number."""
    if number != 0:
        raise OSError(number, os.strerror(number))


def poll_descriptors(interests: Sequence[tuple[int, int]], deadline: int | None) -> list[tuple[int, int]]:
    """Wait until one of the descriptors is ready. Python's own `poll` counts milliseconds; this one, nanoseconds.

    Parameters:
        interests: descriptors, and the events of `select.poll` that are waited for.
        deadline: nanoseconds on the monotonic clock; None for no end.

    Returns:
        The descriptors that are ready, in the order given, and their events; empty when the time is over.

    Raises:
        OSError: the system refuses.
    """
    entries = (_PollDescriptor * len(interests))(*(_PollDescriptor(*interest) for interest in interests))
    while True:
        duration = None
        if deadline is not None:
            duration = _Duration(*divmod(max(deadline - time.monotonic_ns(), 0), 1_000_000_000))
        count = _ppoll(entries, len(entries), None if duration is None else ctypes.addressof(duration), None)
        if count >= 0:
            return [(entry.descriptor, entry.returned) for entry in entries if entry.returned]
        number = ctypes.get_errno()
        # A signal: its handler in Python runs before the next round.
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def round_to_pages(size: int) -> int:
    """The least multiple of the page size that holds `size` bytes."""
    return -(-size // PAGE_SIZE) * PAGE_SIZE


def map_memory(size: int, protection: int, at: int | None = None, *, replace: bool = True) -> int:
    """Map fresh zeroed memory, without a claim on swap space.

    Parameters:
        at: the wanted address; what is mapped there goes, unless `replace` is false.

    Returns:
        The address.

    Raises:
        OSError: the system refuses.
    """
    flags = _MAP_PRIVATE | _MAP_ANONYMOUS | _MAP_NORESERVE
    if at is not None:
        flags |= _MAP_FIXED if replace else _MAP_FIXED_NOREPLACE
    address = _mmap(at, size, protection, flags, -1, 0)
    if address is None or address == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(address)


def map_file(descriptor: int, offset: int, size: int, protection: int) -> int:
    """Map a part of a file, privately.

    Parameters:
        offset: where it begins, at a page boundary.

    Returns:
        The address.

    Raises:
        OSError: the system refuses.
    """
    address = _mmap(None, size, protection, _MAP_PRIVATE, descriptor, offset)
    if address is None or address == _MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(address)


def protect_memory(address: int, size: int, protection: int) -> None:
    """Change what may be done with mapped memory. Raises OSError if the system refuses."""
    _check(_mprotect(address, size, protection))


def unmap_memory(address: int, size: int) -> None:
    """Give mapped memory back. Raises OSError if the system refuses."""
    _check(_munmap(address, size))


def drop_memory(address: int, size: int) -> None:
    """Drop the pages of mapped memory, which stays mapped and is zero when it is read again. Raises OSError."""
    _check(_madvise(address, size, _MADV_DONTNEED))


def _cache_flush() -> Callable[[int, int], None] | None:
    """`__clear_cache` of the compiler's runtime library, where code that was just written must be made visible."""
    if platform.machine() not in ("aarch64", "arm64"):
        return None
    clear = ctypes.CDLL("libgcc_s.so.1").__clear_cache
    clear.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    clear.restype = None
    return cast(Callable[[int, int], None], clear)


_flush = _cache_flush()


def flush_instruction_cache(address: int, size: int) -> None:
    """Make code that was written to memory visible to instruction fetches; nothing on x86-64, which does it itself."""
    if _flush is not None:
        _flush(address, address + size)


def address_of(name: str) -> int:
    """The address of a function of the C library. Raises AttributeError if it has none of that name."""
    address = ctypes.cast(getattr(_library, name), ctypes.c_void_p).value
    assert address is not None
    return address


def python_address_of(name: str) -> int:
    """The address of a function of Python's own C interface."""
    address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    assert address is not None
    return address


class _PthreadAttributes(ctypes.Structure):
    _fields_ = (("storage", ctypes.c_char * 256),)


def thread_stack() -> tuple[int, int]:
    """The calling thread's stack: its lowest address and its size in bytes."""
    attributes = _PthreadAttributes()
    _library.pthread_self.restype = ctypes.c_void_p
    address, size = ctypes.c_void_p(), ctypes.c_size_t()
    this = ctypes.c_void_p(_library.pthread_self())
    _check_number(_library.pthread_getattr_np(this, ctypes.byref(attributes)))
    try:
        _check_number(
            _library.pthread_attr_getstack(
                ctypes.byref(attributes), ctypes.byref(address), ctypes.byref(size)
            )
        )
    finally:
        _library.pthread_attr_destroy(ctypes.byref(attributes))
    return address.value or 0, size.value


def create_thread_key(destructor: int) -> int:
    """A new key of thread-specific data; `destructor` is called with its value when a thread ends."""
    key = ctypes.c_uint()
    _check_number(_library.pthread_key_create(ctypes.byref(key), ctypes.c_void_p(destructor)))
    return key.value


def set_thread_specific(key: int, value: int) -> None:
    """Set the calling thread's value of `key`."""
    _check_number(_library.pthread_setspecific(key, ctypes.c_void_p(value)))


_library.pthread_getspecific.restype = ctypes.c_void_p


def get_thread_specific(key: int) -> int:
    """The calling thread's value of `key`; 0 if it has none."""
    return int(_library.pthread_getspecific(key) or 0)


class _Stack(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def use_alternate_stack(address: int, size: int) -> None:
    """Make the calling thread take signals on the stack at `address`."""
    _check(_library.sigaltstack(ctypes.byref(_Stack(address, 0, size)), None))


class SignalAction(ctypes.Structure):
    """`struct sigaction` of the C library on 64-bit Linux."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_char * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


SA_SIGINFO, SA_ONSTACK, SA_NODEFER = 0x4, 0x08000000, 0x40000000


def set_signal_action(signal: int, handler: int, flags: int) -> SignalAction:
    """Install a handler and return what was installed before."""
    action, previous = SignalAction(handler=handler, flags=flags), SignalAction()
    _check(_library.sigaction(signal, ctypes.byref(action), ctypes.byref(previous)))
    return previous


def signal_action(signal: int) -> SignalAction:
    """What is installed for a signal now."""
    present = SignalAction()
    _check(_library.sigaction(signal, None, ctypes.byref(present)))
    return present
