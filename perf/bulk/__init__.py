"""Compares `iqa-score` with a bare loop and with how such scores are made elsewhere."""
