"""What guests that import WASI are given: arguments, environment, directories, streams."""
