"""Vectors for Numba, what they are compiled for, and where compiled kernels are kept."""

from iqa.simd.levels import level

__all__ = ["level"]
