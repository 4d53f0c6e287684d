"""The CPU kernels against other packages: `python -m perf.kernels`."""
