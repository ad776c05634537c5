"""The part of the runtime that is machine code: entries, host calls, traps, bulk operations, mapped code.

It is made at first use by the same code generator as the guests' code, from LLVM IR text in this package, since
a signal handler and a `longjmp` cannot be written in Python. Addresses of the C library are fixed in it, so it is
never cached.
"""
