"""Programs for WASI, in text."""


def _program(body: str, *functions: str, memory: int = 4) -> str:
    """A command module; `$buffer` is 64 KiB at 65536, what `fd_write` and `fd_read` are given lies at 0."""
    types = {
        "fd_write": "(param i32 i32 i32 i32) (result i32)",
        "fd_read": "(param i32 i32 i32 i32) (result i32)",
        "args_get": "(param i32 i32) (result i32)",
        "args_sizes_get": "(param i32 i32) (result i32)",
        "environ_get": "(param i32 i32) (result i32)",
        "environ_sizes_get": "(param i32 i32) (result i32)",
        "proc_exit": "(param i32)",
        "path_open": "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
    }
    write = "(drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))"
    imports = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types[name]}))' for name in functions
    )
    return f"""
    (module $program {imports}
      (memory (export "memory") {memory})
      (func $write (param $fd i32) (param $pointer i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $pointer))
        (i32.store (i32.const 4) (local.get $length))
        {write if "fd_write" in functions else ""})
      {body})
    """


CAT = _program(
    """
    (func (export "_start") (local $count i32)
      (loop $again
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 65536))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $count (i32.load (i32.const 8)))
        (if (local.get $count)
          (then (call $write (i32.const 1) (i32.const 65536) (local.get $count)) (br $again)))))
    """,
    "fd_read",
    "fd_write",
)
"""Writes what it reads, until the end."""

ARGUMENTS = _program(
    """
    (func (export "_start") (local $count i32)
      (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
      (drop (call $args_get (i32.const 65536) (i32.const 70000)))
      (call $write (i32.const 1) (i32.const 70000) (i32.load (i32.const 20)))
      (local.set $count (i32.load (i32.const 16)))
      (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
      (drop (call $environ_get (i32.const 65536) (i32.const 70000)))
      (call $write (i32.const 2) (i32.const 70000) (i32.load (i32.const 20)))
      (call $proc_exit (local.get $count)))
    """,
    "args_get",
    "args_sizes_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
)
"""Writes its arguments to standard output, its environment to standard error; exits with the number of arguments."""

FLOOD = _program(
    """
    (global $written (export "written") (mut i32) (i32.const 0))
    (func (export "_start")
      (loop $again (call $write (i32.const 1) (i32.const 65536) (i32.const 65536)) (br $again)))
    """,
    "fd_write",
)
"""Writes blocks of 64 KiB without end."""

SPIN = _program(
    """
    (data (i32.const 100) "spinning")
    (func (export "_start")
      (call $write (i32.const 1) (i32.const 100) (i32.const 8))
      (loop $again (br $again)))
    """,
    "fd_write",
)
"""Writes `spinning`, and works forever."""

TRAP = _program(
    """
    (data (i32.const 100) "so far so good")
    (func $fail (unreachable))
    (func (export "_start") (call $write (i32.const 1) (i32.const 100) (i32.const 14)) (call $fail))
    """,
    "fd_write",
)
"""Writes `so far so good`, and traps."""

BOTH = _program(
    """
    (data (i32.const 100) "out1err1out2err2")
    (func (export "_start")
      (call $write (i32.const 1) (i32.const 100) (i32.const 4))
      (call $write (i32.const 2) (i32.const 104) (i32.const 4))
      (call $write (i32.const 1) (i32.const 108) (i32.const 4))
      (call $write (i32.const 2) (i32.const 112) (i32.const 4)))
    """,
    "fd_write",
)
"""Writes to both outputs in turns."""

READ_FILE = _program(
    """
    (data (i32.const 100) "greeting.txt")
    (func (export "_start") (local $error i32)
      (local.set $error (call $path_open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 12) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (i32.const 65536))
      (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $write (i32.const 1) (i32.const 65536) (i32.load (i32.const 8))))
    """,
    "fd_read",
    "fd_write",
    "path_open",
    "proc_exit",
)
"""Writes the content of `greeting.txt` in its first directory; else exits with the error's number."""

WRITE_FILE = _program(
    """
    (data (i32.const 100) "new.txt")
    (func (export "_start") (local $error i32)
      (local.set $error (call $path_open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 7) (i32.const 1)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (loop $again
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (i32.const 65536))
        (local.set $error (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (local.get $error) (then (call $proc_exit (local.get $error))))
        (br $again)))
    """,
    "fd_write",
    "path_open",
    "proc_exit",
)
"""Makes `new.txt` in its first directory, and writes to it until an error, with whose number it exits."""

REACTOR = _program(
    """
    (data (i32.const 100) "initialised")
    (global $count (mut i32) (i32.const 0))
    (func (export "_initialize")
      (global.set $count (i32.const 40))
      (call $write (i32.const 1) (i32.const 100) (i32.const 11)))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count))
    (func (export "say") (param $length i32)
      (call $write (i32.const 2) (i32.const 65536) (local.get $length)))
    (func (export "leave") (param i32) (call $proc_exit (local.get 0)))
    """,
    "fd_write",
    "proc_exit",
)
"""A reactor: `_initialize` writes `initialised`, and sets what `count` counts up from to 40."""
