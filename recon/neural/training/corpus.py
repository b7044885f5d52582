"""The corpus: volumes reconstructed from counted series of particles of every family, and the atoms they are
of.

Each sample is drawn from (seed, number) alone, so a corpus can be made in any order, by any number of
processes, and goes on where it stopped; samples are kept by shards of `PER_SHARD`, each one piece of zarr
(`datasets.pieces`). Training sees the truth, as nothing else in `recon` does; what it leaves behind is
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from datasets.corpus.families import TEST, TRAIN, VALIDATION, draw
from datasets.corpus.series import Acquisition, Series, make_series
from datasets.errors import InputError
from datasets.pieces import has_piece, join, read_piece, write_piece
from recon import registry
from recon.neural.grid import SIGMA, Frame, to_grid
from recon.pipeline import TomographicReconstructor

EDGE = 72
"""Voxels along an edge of a sample: 25.2 Å, which hold every particle of `datasets.corpus.families`."""
PER_SHARD = 32
STARTS = {"mlem": 0.4, "fista": 0.3, "genfire": 0.2, "resire": 0.1}
"""What the volumes are reconstructed by, and how often."""
VALIDATION_SHARE = 0.08
TEST_SHARE = 0.12
EMPTY = "nothing"
"""The family of empty samples; it trains."""
EMPTY_EVERY = 24
VERSION = 1

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One particle: the `volume` (EDGE, EDGE, EDGE) as reconstructed, and its atoms.

    `index` (n, 3) are the atoms' voxel indices as z, y, x; `heights` (n,) what they should have in the
    answer, in the same units as the volume; `numbers` (n,) their atomic numbers. `record` says how the
    series was taken.
    """

    volume: npt.NDArray[np.float16]
    index: FloatArray
    heights: FloatArray
    numbers: npt.NDArray[np.int64]
    family: str
    start: str
    record: dict[str, float]


def make_sample(seed: int, number: int) -> Sample:
    """Sample `number` of the corpus `seed`, about a second of one core."""
    structure, acquiring, counting = np.random.SeedSequence([VERSION, seed, number]).spawn(3)
    rng = np.random.default_rng(acquiring)
    share = rng.random()
    split = (
        VALIDATION if share < VALIDATION_SHARE else TEST if share < VALIDATION_SHARE + TEST_SHARE else TRAIN
    )
    family = str(rng.choice(split))
    start = str(rng.choice(list(STARTS), p=list(STARTS.values())))
    atoms = draw(family, structure)
    series = make_series(atoms, Acquisition.draw(rng), np.random.default_rng(counting))
    return _reconstructed(series, family, start)


def make_empty(seed: int, number: int) -> Sample:
    """Sample `number` of those that hold nothing but the noise of a background: no atom is to be found
    there.
    """
    structure, acquiring, counting = np.random.SeedSequence([VERSION, seed, number, 1]).spawn(3)
    rng = np.random.default_rng(acquiring)
    start = str(rng.choice(list(STARTS), p=list(STARTS.values())))
    acquisition = Acquisition.draw(rng)
    acquisition = replace(acquisition, background=acquisition.background or float(rng.uniform(0.05, 1)))
    series = make_series(
        draw("packing", structure), acquisition, np.random.default_rng(counting), absent=True
    )
    return _reconstructed(replace(series, atoms=series.atoms[:0], electrons=np.empty(0)), EMPTY, start)


def _reconstructed(series: Series, family: str, start: str) -> Sample:
    reconstructor = registry.get(start)
    assert isinstance(reconstructor, TomographicReconstructor)
    volume, frame = to_grid(reconstructor.volume_of(series.measurement))
    cube, corner = _cube(volume, frame)
    return Sample(
        cube.astype(np.float16),
        frame.index(series.atoms.positions) - corner,
        series.electrons * frame.scale / (2 * np.pi * SIGMA**2) ** 1.5,
        series.atoms.numbers.astype(np.int64),
        family,
        start,
        series.record | {"density": frame.density},
    )


def _cube(
    volume: npt.NDArray[np.float32], frame: Frame
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int_]]:
    """The middle of `volume`, cut or filled up with zeros to EDGE along each axis, and its first voxel."""
    corner = np.rint(frame.index(np.zeros((1, 3)))[0]).astype(int) - EDGE // 2
    cube = np.zeros((EDGE, EDGE, EDGE), dtype=np.float32)
    lo = np.maximum(corner, 0)
    hi = np.minimum(corner + EDGE, volume.shape)
    cube[tuple(slice(a - c, b - c) for a, b, c in zip(lo, hi, corner, strict=True))] = volume[
        tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
    ]
    return cube, corner


def make_corpus(url: str, n_samples: int, *, seed: int = 0, workers: int = 1, progress: bool = True) -> None:
    """Make the shards of the first `n_samples` that are missing at `url`, whole shards only, and one of empty
    samples for every `EMPTY_EVERY` of them.
    """
    if n_samples < PER_SHARD:
        raise InputError(f"a corpus has at least {PER_SHARD} samples, not {n_samples}")
    missing = [shard for shard in _shards(n_samples) if not has_piece(_shard_url(url, seed, shard))]
    bar = tqdm(total=len(missing), desc="corpus", unit="shard", disable=None if progress else True)
    with bar, ProcessPoolExecutor(max_workers=workers) as pool:
        for _ in pool.map(partial(make_shard, url, seed), missing):
            bar.update()


Shard = tuple[str, int]
"""`particles` or `empty`, and a number."""


def _shards(n_samples: int) -> list[Shard]:
    n = n_samples // PER_SHARD
    return [("particles", k) for k in range(n)] + [("empty", k) for k in range(-(-n // EMPTY_EVERY))]


def make_shard(url: str, seed: int, shard: Shard) -> None:
    """Make one shard and store it at `url`."""
    kind, k = shard
    make = make_sample if kind == "particles" else make_empty
    samples = [make(seed, number) for number in range(k * PER_SHARD, (k + 1) * PER_SHARD)]
    write_piece(_shard_url(url, seed, shard), _pack(samples))


def _shard_url(url: str, seed: int, shard: Shard) -> str:
    return join(url, f"corpus-{VERSION}-{seed}", f"{shard[0]}-{shard[1]:05d}")


def read_corpus(url: str, n_samples: int, *, seed: int = 0) -> Iterator[Sample]:
    """The samples that `make_corpus` left at `url`, in order, the empty ones last; `InputError` where a
    shard is missing.
    """
    for shard in _shards(n_samples):
        at = _shard_url(url, seed, shard)
        if not has_piece(at):
            raise InputError(f"{at}: this part of the corpus has not been made; make the corpus first")
        yield from _unpack(read_piece(at))


def _pack(samples: list[Sample]) -> xr.Dataset:
    """The samples of one shard: atoms one after the other, with how many each sample has."""
    keys = list(samples[0].record)
    return xr.Dataset(
        {
            "volume": (("sample", "z", "y", "x"), np.stack([s.volume for s in samples])),
            "n_atoms": ("sample", np.array([len(s.numbers) for s in samples])),
            "index": (("atom", "axis"), np.concatenate([s.index for s in samples]).astype(np.float32)),
            "heights": ("atom", np.concatenate([s.heights for s in samples]).astype(np.float32)),
            "numbers": ("atom", np.concatenate([s.numbers for s in samples])),
            "record": (("sample", "key"), np.array([[s.record[k] for k in keys] for s in samples])),
        },
        attrs={
            "family": [s.family for s in samples],
            "start": [s.start for s in samples],
            "keys": keys,
        },
    )


def _unpack(shard: xr.Dataset) -> Iterator[Sample]:
    ends = np.cumsum(shard["n_atoms"].values)
    volumes, record = shard["volume"].values, shard["record"].values
    for k, (begin, end) in enumerate(zip(ends - shard["n_atoms"].values, ends, strict=True)):
        yield Sample(
            volumes[k],
            shard["index"].values[begin:end].astype(np.float64),
            shard["heights"].values[begin:end].astype(np.float64),
            shard["numbers"].values[begin:end],
            shard.attrs["family"][k],
            shard.attrs["start"][k],
            dict(zip(shard.attrs["keys"], record[k].tolist(), strict=True)),
        )
