"""MS-SSIM: full-reference quality, 1 is identical (Wang, Simoncelli, Bovik 2003)."""

from iqa.ms_ssim.catalogue import MS_SSIM

score = MS_SSIM.score
