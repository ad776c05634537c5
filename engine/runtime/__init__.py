"""Running modules: stores, instances, memories, tables, globals, functions, calls and traps."""
