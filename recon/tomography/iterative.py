"""What all iterative reconstructors share: the number of their iterations."""

from __future__ import annotations

from dataclasses import dataclass

from datasets.errors import InputError
from recon.pipeline import TomographicReconstructor


@dataclass(frozen=True)
class IterativeReconstructor(TomographicReconstructor):
    """A tomographic reconstructor of `n_iter` iterations; a subclass gives its default and `volume`."""

    n_iter: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_iter < 1:
            raise InputError(f"n_iter must be at least 1, not {self.n_iter}")
