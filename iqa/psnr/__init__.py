"""PSNR: the mean squared error of a distorted picture, in decibels."""

from iqa.psnr.catalogue import PSNR

score = PSNR.score
