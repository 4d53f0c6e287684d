"""The long tests of what docs/reliability.md promises: `python -m perf.soak`."""
