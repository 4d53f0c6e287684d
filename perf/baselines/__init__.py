"""The obvious alternatives to this service, which the benchmark compares it with."""
