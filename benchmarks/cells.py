"""A cell, dataset × dose × replicate × reconstructor, and its two files: written once, trusted when whole.

    RESULTS/cells/KEY.npz     arrays: the answer, the truth, the matched pairs, orthoslices of the volume
    RESULTS/cells/KEY.json    identity, status, scores, provenance, and the SHA-256 of the .npz; written last

The JSON file is the commit: without it, or when it does not agree with the arrays, the cell was never done.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import math
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import xarray as xr
from ase import Atoms
from fsspec.implementations.local import LocalFileSystem

from datasets.catalog import DatasetCard, content_key
from datasets.errors import InputError, StoreError
from datasets.pieces import join
from recon.base import Status

CELL_VERSION = 1
"""Version of the files of a cell; raised when older readers would misread them."""

NOISE_FREE = "inf"
"""How a cell's file writes an infinite dose, for which JSON has no number."""

HALF_SLAB = 1.0
"""Half the thickness [Å] of the central slab that a cell keeps of a volume."""

log = logging.getLogger("dosebench")

Arrays = dict[str, npt.NDArray[Any]]


def counts_key(card: DatasetCard) -> str:
    """Content key of everything that decides the counts of a dose and replicate: images, background, and the
    name, from which the noise is seeded.
    """
    return content_key([card.name, card.key(), card.background])


@dataclass(frozen=True)
class Cell:
    """One measurement handed to one method.

    `dataset` is the full name (`cuau-150[seed=2]`), `dose` is in e⁻/Å² per image, `reconstructor` the label
    that people read (`resire[n_iter=50]`); `method`, `parameters` and `version` identify the algorithm.
    """

    dataset: str
    dataset_key: str
    dose: float
    replicate: int
    reconstructor: str
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1"
    kind: str = "reconstructor"
    """`reconstructor`, or `control`."""

    @property
    def key(self) -> str:
        """Content key: of what was computed, not of the order of a run, nor of any label."""
        identity = [self.dataset_key, float(self.dose), self.replicate, self.method, self.kind]
        return content_key([*identity, plain(dict(self.parameters), self.reconstructor), str(self.version)])

    @property
    def place(self) -> tuple[str, float, int, bool, str]:
        """By what cells are sorted: dataset, dose, replicate, reconstructors before controls, label."""
        return (self.dataset, self.dose, self.replicate, self.kind == "control", self.reconstructor)

    @property
    def sentence(self) -> str:
        """The cell in words."""
        return f"{self.reconstructor} on {self.dataset} at {self.dose:g} e⁻/Å², replicate {self.replicate}"

    def rng(self) -> np.random.Generator:
        """The method's own random numbers in this cell."""
        return np.random.default_rng(int(self.key, 16))


def plain(value: object, where: str) -> Any:
    """`value` as JSON types; raises `InputError` naming `where` for what JSON does not hold."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, where) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise InputError(f"{where}: a parameter must be a number, a word, true, false or a list, not {value!r}")


@dataclass(frozen=True)
class CellResult:
    """What became of a cell. `scores` holds every metric that applies (NaN where it has no value).

    `dataset_info` says what a reader needs to know of the dataset: title, base, modality, engine, reference,
    elements. `scoring` says with which rule the answer was scored. `url` is where the cell is stored.
    """

    cell: Cell
    status: Status
    message: str
    traceback: str | None
    scores: Mapping[str, float]
    stats: Mapping[str, float]
    scoring: Mapping[str, Any]
    dataset_info: Mapping[str, Any]
    provenance: Mapping[str, Any]
    url: str = ""

    @property
    def failed(self) -> bool:
        """Whether there was no answer to score."""
        return self.status.failed

    def arrays(self) -> Arrays:
        """The arrays of the cell.

        Always `truth_numbers (t,)`, `truth_positions (t, 3)` [Å]; unless failed `answer_numbers (a,)`,
        `answer_positions (a, 3)` [Å], `pairs (n, 2)` (truth index, answer index), `residuals (n, 3)` [Å]
        (answer − truth, translation removed), `translation (3,)` [Å], and where the method gives it
        `answer_intensity (a,)`; with a volume `slice_z (y, x)`, `slice_y (z, x)`, `slice_x (z, y)` through
        the origin, `slab_z (y, x)`, the mean within `HALF_SLAB` of it, and `axis_z, axis_y, axis_x` [Å]; of a
        tilt series whose geometry the method gave, `tilt_phi, tilt_theta, tilt_psi` [deg],
        `tilt_shift_x, tilt_shift_y` [Å] and `tilt_scale`, all (n_tilt,). Raises `StoreError` when damaged.
        """
        fs, path = fsspec.url_to_fs(f"{self.url}.npz")
        with np.load(io.BytesIO(fs.cat_file(path))) as stored:
            return {name: stored[name] for name in stored.files}

    def answer(self) -> Atoms | None:
        """The atoms that the method found; None when it failed."""
        arrays = self.arrays()
        return _atoms(arrays, "answer") if "answer_numbers" in arrays else None

    def truth(self) -> Atoms:
        """The ground truth."""
        return _atoms(self.arrays(), "truth")

    def geometry(self) -> xr.Dataset | None:
        """The geometry that the answer rests on (`recon.base.Reconstruction`); None where none was given."""
        arrays = self.arrays()
        names = {name: name.removeprefix("tilt_") for name in arrays if name.startswith("tilt_")}
        if not names:
            return None
        return xr.Dataset({plain: ("tilt", arrays[name]) for name, plain in names.items()})


def _atoms(arrays: Arrays, which: str) -> Atoms:
    return Atoms(numbers=arrays[f"{which}_numbers"], positions=arrays[f"{which}_positions"])


def orthoslices(volume: xr.DataArray) -> Arrays:
    """The three slices of `volume` (z, y, x) nearest to the origin and its central slab along z, float32, and
    its axes [Å].
    """
    volume = volume.transpose("z", "y", "x")
    slices: Arrays = {}
    for axis in ("z", "y", "x"):
        slices[f"axis_{axis}"] = np.asarray(volume[axis].values, dtype=np.float32)
        centre = int(np.abs(volume[axis].values).argmin())
        slices[f"slice_{axis}"] = np.asarray(volume.isel({axis: centre}).values, dtype=np.float32)
    inside = np.abs(volume["z"].values) <= HALF_SLAB
    slab = volume.isel(z=inside).mean("z") if inside.any() else slices["slice_z"]
    slices["slab_z"] = np.asarray(slab, dtype=np.float32)
    return slices


def geometry_arrays(geometry: xr.Dataset) -> Arrays:
    """The variables of the `geometry` of an answer as arrays (n_tilt,), their names after `tilt_`."""
    return {f"tilt_{name}": np.asarray(values.values) for name, values in geometry.variables.items()}


def cell_url(results: str, key: str) -> str:
    """Where the files of cell `key` are, without their extension."""
    return join(results, "cells", key)


def write_cell(results: str, result: CellResult, arrays: Arrays) -> None:
    """Store a cell below `results`, replacing an earlier attempt; raises `StoreError` when the disk fills."""
    url = cell_url(results, result.cell.key)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    cell = result.cell
    record = {
        "cell_version": CELL_VERSION,
        "key": cell.key,
        "cell": {
            **cell.__dict__,
            "dose": cell.dose if math.isfinite(cell.dose) else NOISE_FREE,
            "parameters": plain(dict(cell.parameters), cell.reconstructor),
        },
        "status": result.status.value,
        "message": result.message,
        "traceback": result.traceback,
        "scores": _nulled(result.scores),
        "stats": _nulled(result.stats),
        "scoring": dict(result.scoring),
        "dataset_info": dict(result.dataset_info),
        "provenance": dict(result.provenance),
        "arrays_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    record["record_sha256"] = _digest(record)
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    _put(f"{url}.npz", buffer.getvalue())
    _put(f"{url}.json", text.encode())


def _nulled(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {key: float(v) if math.isfinite(v) else None for key, v in figures.items()}


def _digest(record: Mapping[str, Any]) -> str:
    content = {key: value for key, value in record.items() if key != "record_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _put(url: str, content: bytes) -> None:
    """Write one file so that it is there whole, or not at all."""
    fs, path = fsspec.url_to_fs(url)
    if not isinstance(fs, LocalFileSystem):
        fs.pipe_file(path, content)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.{uuid.uuid4().hex[:8]}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if os.path.exists(part):
            os.remove(part)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError(
                f"{url}: no room left to write it ({os.strerror(error.errno)}); "
                "what was stored before is intact"
            ) from error
        raise


def load_cell(results: str, key: str) -> CellResult | None:
    """The cell `key` below `results`; None when it was never finished.

    Raises `StoreError` when it is damaged, or written by a newer version.
    """
    url = cell_url(results, key)
    fs, path = fsspec.url_to_fs(url)
    try:
        record = json.loads(fs.cat_file(f"{path}.json"))
        written = record["cell_version"]
        if written > CELL_VERSION:
            raise StoreError(
                f"{url}.json: written with cell version {written}, "
                f"this dosebench reads up to {CELL_VERSION}; upgrade it"
            )
        if record["key"] != key or record["record_sha256"] != _digest(record):
            raise StoreError(f"{url}.json: damaged: it is not what was written")
    except FileNotFoundError:
        return None
    except StoreError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{url}.json: damaged: it cannot be read") from error
    try:
        digest = hashlib.sha256(fs.cat_file(f"{path}.npz")).hexdigest()
    except FileNotFoundError:
        raise StoreError(f"{url}.npz: missing") from None
    if digest != record["arrays_sha256"]:
        raise StoreError(f"{url}.npz: damaged: it is not what was written")
    return CellResult(
        cell=Cell(**{**record["cell"], "dose": float(record["cell"]["dose"])}),
        status=Status(record["status"]),
        message=record["message"],
        traceback=record["traceback"],
        scores={name: math.nan if v is None else v for name, v in record["scores"].items()},
        stats={name: math.nan if v is None else v for name, v in record["stats"].items()},
        scoring=record["scoring"],
        dataset_info=record["dataset_info"],
        provenance=record["provenance"],
        url=url,
    )


def trusted_cell(results: str, key: str) -> CellResult | None:
    """As `load_cell`, but a damaged cell is warned of by name and taken as not done."""
    try:
        return load_cell(results, key)
    except StoreError as error:
        log.warning("warning: %s; the cell counts as not done", error)
        return None


def load_cells(results: str) -> list[CellResult]:
    """Every whole cell below `results`, sorted by dataset, dose, replicate, kind and reconstructor.

    A damaged cell is named in a warning and left out.
    """
    fs, path = fsspec.url_to_fs(join(results, "cells"))
    fs.invalidate_cache()
    names = [name.rsplit("/", 1)[1] for name in fs.find(path) if name.endswith(".json")]
    found = (trusted_cell(results, name.removesuffix(".json")) for name in names)
    cells = [result for result in found if result is not None]
    return sorted(cells, key=lambda result: result.cell.place)
