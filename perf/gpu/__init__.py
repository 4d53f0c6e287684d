"""Correctness and speed on a GPU: `python -m perf.gpu`."""
