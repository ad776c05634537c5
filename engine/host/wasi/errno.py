"""The error numbers of WASI preview 1 (`$errno` in the specification), and what the host's are among them."""

from __future__ import annotations

import errno
from enum import IntEnum, unique


@unique
class Errno(IntEnum):
    """An error number, as a guest gets it; the order is the specification's."""

    SUCCESS = 0
    """No error occurred."""
    TOO_BIG = 1
    """`2big`: the argument list is too long."""
    ACCES = 2
    """Permission denied."""
    ADDRINUSE = 3
    """The address is in use."""
    ADDRNOTAVAIL = 4
    """The address is not available."""
    AFNOSUPPORT = 5
    """The address family is not supported."""
    AGAIN = 6
    """The resource is unavailable, or the operation would block."""
    ALREADY = 7
    """The connection is already in progress."""
    BADF = 8
    """Bad file descriptor."""
    BADMSG = 9
    """Bad message."""
    BUSY = 10
    """The device or resource is busy."""
    CANCELED = 11
    """The operation was cancelled."""
    CHILD = 12
    """There are no child processes."""
    CONNABORTED = 13
    """The connection was aborted."""
    CONNREFUSED = 14
    """The connection was refused."""
    CONNRESET = 15
    """The connection was reset."""
    DEADLK = 16
    """A deadlock would occur."""
    DESTADDRREQ = 17
    """A destination address is required."""
    DOM = 18
    """A mathematical argument is out of the function's domain."""
    DQUOT = 19
    """Reserved."""
    EXIST = 20
    """The file exists."""
    FAULT = 21
    """Bad address."""
    FBIG = 22
    """The file is too large."""
    HOSTUNREACH = 23
    """The host is unreachable."""
    IDRM = 24
    """The identifier was removed."""
    ILSEQ = 25
    """An illegal byte sequence."""
    INPROGRESS = 26
    """The operation is in progress."""
    INTR = 27
    """The function was interrupted."""
    INVAL = 28
    """An invalid argument."""
    IO = 29
    """An error of input or output."""
    ISCONN = 30
    """The socket is connected."""
    ISDIR = 31
    """It is a directory."""
    LOOP = 32
    """Too many levels of symbolic links."""
    MFILE = 33
    """The file descriptor value is too large."""
    MLINK = 34
    """Too many links."""
    MSGSIZE = 35
    """The message is too large."""
    MULTIHOP = 36
    """Reserved."""
    NAMETOOLONG = 37
    """The filename is too long."""
    NETDOWN = 38
    """The network is down."""
    NETRESET = 39
    """The connection was aborted by the network."""
    NETUNREACH = 40
    """The network is unreachable."""
    NFILE = 41
    """Too many files are open in the system."""
    NOBUFS = 42
    """No buffer space is available."""
    NODEV = 43
    """There is no such device."""
    NOENT = 44
    """There is no such file or directory."""
    NOEXEC = 45
    """An error in an executable file's format."""
    NOLCK = 46
    """No locks are available."""
    NOLINK = 47
    """Reserved."""
    NOMEM = 48
    """There is not enough space."""
    NOMSG = 49
    """There is no message of the desired type."""
    NOPROTOOPT = 50
    """The protocol is not available."""
    NOSPC = 51
    """There is no space left on the device."""
    NOSYS = 52
    """The function is not supported."""
    NOTCONN = 53
    """The socket is not connected."""
    NOTDIR = 54
    """Not a directory, or a symbolic link to one."""
    NOTEMPTY = 55
    """The directory is not empty."""
    NOTRECOVERABLE = 56
    """The state is not recoverable."""
    NOTSOCK = 57
    """Not a socket."""
    NOTSUP = 58
    """Not supported, or not on sockets."""
    NOTTY = 59
    """An inappropriate control operation."""
    NXIO = 60
    """There is no such device or address."""
    OVERFLOW = 61
    """The value is too large for its type."""
    OWNERDEAD = 62
    """The previous owner died."""
    PERM = 63
    """The operation is not permitted."""
    PIPE = 64
    """Broken pipe."""
    PROTO = 65
    """An error of the protocol."""
    PROTONOSUPPORT = 66
    """The protocol is not supported."""
    PROTOTYPE = 67
    """The protocol is wrong for the socket."""
    RANGE = 68
    """The result is too large."""
    ROFS = 69
    """The file system is read-only."""
    SPIPE = 70
    """An invalid seek."""
    SRCH = 71
    """There is no such process."""
    STALE = 72
    """Reserved."""
    TIMEDOUT = 73
    """The connection timed out."""
    TXTBSY = 74
    """The text file is busy."""
    XDEV = 75
    """A link across devices."""
    NOTCAPABLE = 76
    """Extension: the capabilities are insufficient."""


class WasiError(Exception):
    """A system call of a guest's failed.

    Attributes:
        errno: what the guest is told.
    """

    def __init__(self, errno: Errno, detail: str = "") -> None:
        """Make one.

        Parameters:
            detail: what was wrong, for logs; the guest never sees it.
        """
        super().__init__(f"{errno.name}: {detail}" if detail else errno.name)
        self.errno = errno


_NAMES_THAT_DIFFER = {
    "E2BIG": Errno.TOO_BIG,
    "EOPNOTSUPP": Errno.NOTSUP,
    "ENOTSUP": Errno.NOTSUP,
    "EDEADLOCK": Errno.DEADLK,
}

_OF_HOST: dict[int, Errno] = {
    number: errno_of_guest
    for number, name in errno.errorcode.items()
    if (errno_of_guest := _NAMES_THAT_DIFFER.get(name) or Errno.__members__.get(name[1:])) is not None
}
# The guest's own limit is counted by farcall; where the process runs out of descriptors, that is the system to a guest.
_OF_HOST[errno.EMFILE] = Errno.NFILE


def errno_of_host(error: OSError) -> Errno:
    """The error number that a guest gets for a failed system call of the host's; `IO` for what WASI has no name for."""
    return _OF_HOST.get(error.errno or 0, Errno.IO)
