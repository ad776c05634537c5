"""The system interface of WASI preview 1."""
