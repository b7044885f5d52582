"""Heights of graphene against the setting of the microscope: defocus, spherical aberration and dose.

Three least errors per setting. From the frame alone, and with the energy of a flat sheet, by
`endless_sheet`: these want the lattice's first beams, 0.47 and 0.81/Å, where a change of focus changes
them most, and there, near focus, the lattice itself is hardly seen. With the energy of the rippled sheet
at hand, by `graphene`: slopes shorten bonds in projection, so that a frame which shows the plane sharply
shows the slopes too, and the setting must do both.

For graphene-240[seed=101] at 8 × 10³ e⁻/Å² nine of ten settings of the grid are alike in the last, 0.258 to
0.29 Å, the card's 80 Å and 1 µm with 0.268 Å; in focus it is 0.61 Å, though the frame alone tells most of z
there (2.1 Å, elsewhere 3 to 4.4 Å). The last is local: slopes do not say whether a ripple is up or down,
only the frame alone does. Of settings alike in the last, one that is worse in the first is worse:
`multislice-map` on abTEM frames of seeds 102 to 104 was 50 pm off in z (levelled, rms of the three) at 40 Å
and 5 µm (3.7 Å from the frame, 0.263 Å informed) and 34 pm at the card's (3.2 Å, 0.268 Å). At 10 Å and 1 µm
(2.3 Å, 0.35 Å) it was 32 pm off and missed 3 % of the atoms; at 5 Å and 1 µm, seed 101, it found half.

Cost per setting: 0.02 s for the endless sheet; for the one at hand F once, and per dose one factorisation
and inverse of 3 n_atoms rows: 0.2 s and 0.05 s with 240 atoms, 2 s and 0.7 s with 640.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from benchmarks.limits.endless_sheet import sheet_modes
from benchmarks.limits.graphene import bound_of, stiffness
from datasets.catalog import DatasetCard
from datasets.errors import InputError
from datasets.schema import pixel_axis
from recon.graphene.information import fisher_information
from recon.graphene.multislice import FrameModel, Lens

FloatArray = npt.NDArray[np.float64]

DEFOCI = tuple(float(d) for d in np.arange(-200, 201, 20))
"""[Å]"""
ABERRATIONS = (-2e5, -5e4, -1e4, 0.0, 1e4, 5e4, 2e5)
"""Cs [Å]: ± 20 µm, as a corrector can be set, and the 1 µm of the cards."""


@dataclass(frozen=True)
class Setting:
    """A `defocus` and a `Cs` [Å], and the rms errors of z [Å] there: from the `frame` alone, with the energy
    of a `flat` sheet, and with that of the sheet at hand, `informed`, levelled; `plane` [Å] is that of x and
    y, informed.
    """

    defocus: float
    Cs: float
    frame: float
    flat: float
    informed: float
    plane: float


def lens_of(card: DatasetCard) -> Lens:
    """The lens of an hrtem dataset; raises `InputError` for any other, and for what is no sheet of carbon."""
    if card.imaging.modality != "hrtem" or card.structure.generator != "graphene":
        raise InputError(f"dataset {card.name!r} is no frame of graphene; --optics is about those")
    aperture = card.imaging.aperture_mrad
    return Lens.of(card.imaging.model_dump() | {"aperture_mrad": math.inf if aperture is None else aperture})


def temperature_of(card: DatasetCard) -> float:
    """That of the molecular dynamics of the structure [K]."""
    from datasets.structures.graphene import Parameters

    return Parameters.model_validate(card.structure.parameters).temperature


def cells_of(card: DatasetCard) -> int:
    """Cells along the edge of a rhombus with as many atoms as the structure."""
    from datasets.structures.graphene import Parameters

    return round(math.sqrt(Parameters.model_validate(card.structure.parameters).n_atoms / 2))


def frame_model(card: DatasetCard, dose: float, defocus: float, Cs: float) -> FrameModel:
    """The frame of `card` at another setting."""
    axis = pixel_axis(card.imaging.n_pixels, card.imaging.pixel_size)
    lens = replace(lens_of(card), defocus=defocus, Cs=Cs)
    return FrameModel(axis, axis, lens, dose=dose, background=card.background)


def optics_grid(
    card: DatasetCard,
    positions: FloatArray,
    doses: Sequence[float],
    defoci: Sequence[float] = DEFOCI,
    aberrations: Sequence[float] = ABERRATIONS,
    *,
    progress: bool = False,
) -> xr.Dataset:
    """Least rms errors [Å] with dims (Cs, defocus, dose) for the sheet of `card` at `positions` (n_atoms, 3)
    [Å]: `frame_z` and `frame_plane` from the frame alone, `flat_z` with the energy of a flat sheet,
    `informed_z`, levelled, and `informed_plane` with that of the sheet at hand. The
    background counts in the last two only.
    """
    lens, temperature, n_cells = lens_of(card), temperature_of(card), cells_of(card)
    prior = stiffness(positions, temperature)
    names = ("frame_z", "frame_plane", "flat_z", "informed_z", "informed_plane")
    found = np.empty((len(names), len(aberrations), len(defoci), len(doses)))
    settings = [(i, j) for i in range(len(aberrations)) for j in range(len(defoci))]
    for i, j in tqdm(settings, desc="settings", disable=not progress):
        one = replace(lens, Cs=aberrations[i], defocus=defoci[j])
        modes = sheet_modes(one, card.imaging.pixel_size, n_cells)
        information = fisher_information(frame_model(card, 1.0, defoci[j], aberrations[i]), positions)
        for k, dose in enumerate(doses):
            alone, flat = modes.precision(dose), modes.precision(dose, temperature)
            here = bound_of(dose * information + prior, positions)
            plane = math.sqrt(float((here.rms()[:2] ** 2).mean()))
            found[:, i, j, k] = alone.z, alone.plane, flat.z, here.levelled(), plane
    dims = ("Cs", "defocus", "dose")
    coords = {"Cs": list(aberrations), "defocus": list(defoci), "dose": list(doses)}
    variables = {name: (dims, values) for name, values in zip(names, found, strict=True)}
    return xr.Dataset(variables, coords, {"temperature": temperature, "n_atoms": len(positions), "unit": "Å"})


def best_setting(grid: xr.Dataset, dose: float) -> Setting:
    """The setting of `grid` with the least error of z, informed, at one of its doses [e⁻/Å²]."""
    at = grid.sel(dose=dose)
    return _setting(at, int(at.informed_z.values.argmin()))


def worst_setting(grid: xr.Dataset, dose: float) -> Setting:
    """The setting with the largest."""
    at = grid.sel(dose=dose)
    return _setting(at, int(at.informed_z.values.argmax()))


def setting_of(grid: xr.Dataset, dose: float, defocus: float, Cs: float) -> Setting:
    """The setting of `grid` nearest to `defocus`, `Cs` [Å]."""
    at = grid.sel(dose=dose)
    i = int(np.abs(at.Cs.values - Cs).argmin())
    return _setting(at, i * at.sizes["defocus"] + int(np.abs(at.defocus.values - defocus).argmin()))


def _setting(at: xr.Dataset, flat: int) -> Setting:
    i, j = divmod(flat, at.sizes["defocus"])
    values = (float(at[name][i, j]) for name in ("frame_z", "flat_z", "informed_z", "informed_plane"))
    return Setting(float(at.defocus[j]), float(at.Cs[i]), *values)
