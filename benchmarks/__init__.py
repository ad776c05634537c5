"""Measurements of farcall beside its peers; run as `python -m benchmarks` (the Makefile's `make bench`)."""
