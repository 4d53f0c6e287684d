"""The GPU kernels run in these tests on CPU tensors, under the Triton language's interpreter."""

import os

# Read when the kernels' modules are imported, so it has to be set before any test is.
os.environ["TRITON_INTERPRET"] = "1"
