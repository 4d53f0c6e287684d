"""The client of Triton: shared memory, messages, addresses, readiness."""
