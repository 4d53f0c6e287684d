"""The REST front of the service: uploads in, pixels to Triton, scores out."""
