"""What the Triton models share: from the requests of a batch to one call, and back."""
