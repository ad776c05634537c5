"""Example modules in C, and a program that runs them on a server; run as `python -m examples.demo` (`make demo`)."""
