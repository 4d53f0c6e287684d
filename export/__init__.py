"""Makes the files that the model repository and `iqa` ship."""
