"""LLVM IR to machine code: target, passes, objects, and linked position-independent images."""
