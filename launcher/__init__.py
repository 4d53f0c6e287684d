"""`iqa-serve`: starts Triton and the gateway, watches both, drains both."""
