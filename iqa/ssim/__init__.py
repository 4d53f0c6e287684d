"""SSIM: full-reference quality, 1 is identical (Wang, Bovik, Sheikh, Simoncelli 2004)."""

from iqa.ssim.catalogue import SSIM

score = SSIM.score
