"""What the GPU kernels of all metrics share: ragged batches, devices, streaming windows."""
