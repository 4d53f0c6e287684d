"""BRISQUE: no-reference quality, lower is better (Mittal, Moorthy, Bovik 2012)."""

from iqa.brisque.catalogue import BRISQUE

score = BRISQUE.score
