"""The benchmark of the service against its alternatives: `python -m perf.bench`."""
