"""The datasets and structures there are, one YAML card each, and the content keys of what cards determine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator, model_validator
from scipy.constants import Planck, electron_mass, elementary_charge, physical_constants

from datasets.cards import Card, load_card, parse_card
from datasets.catalog.overrides import format_override, in_words_of_names, override
from datasets.errors import InputError, unknown_name
from datasets.naming import parse_name

FOLDER = Path(__file__).parent
REST_ENERGY = physical_constants["electron mass energy equivalent in MeV"][0] * 1e6
"""Of an electron [eV]."""
TRANSFER = 0.01
"""Part of an amplitude that may be left beyond the Nyquist frequency of an image that is displaced."""
STRUCTURES = FOLDER / "structures"


class StructureRecipe(Card):
    """All that decides a structure: a generator of datasets.structures, its seed and its parameters."""

    generator: str
    version: int = 1
    seed: int = Field(default=0, ge=0)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @field_validator("parameters")
    @classmethod
    def _files_by_content(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.data.get("generator") != "from_file":
            return parameters
        from datasets.structures.from_file import with_content

        return with_content(parameters, (info.context or {}).get("folder"))

    def content(self) -> dict[str, Any]:
        """What decides the structure: a file counts by its SHA-256, wherever it lies."""
        content = self.model_dump()
        if self.generator == "from_file":
            for name in ("path", "types_path"):
                content["parameters"].pop(name, None)
        return content

    def key(self) -> str:
        """Content key of the structure."""
        return content_key(self.content())


class Expected(Card):
    """The range in which a quantity of a structure must lie, and who says so."""

    low: float
    high: float
    source: str


class StructureCard(Card):
    """One structure of the catalog: how it is made and what it must be like."""

    name: str
    title: str
    reference: str
    recipe: StructureRecipe
    expected: dict[str, Expected] = Field(default_factory=dict)
    """Quantities of `datasets.structures.validate`, such as `coordination[Si]`, and their ranges."""
    cost: str
    """What it takes to make on two cores, as measured."""


class TiltCard(Card):
    """Nominal single-axis tilt angles [deg]: `n` evenly spaced from `start` to `stop`, both included."""

    start: float
    stop: float
    n: int = Field(ge=1)

    def theta(self) -> npt.NDArray[np.float64]:
        """The angles [deg], shape (n,)."""
        return np.linspace(self.start, self.stop, self.n)


class ImperfectionCard(Card):
    """Departures from the nominal acquisition, drawn once per dataset from `seed`. All zero: a perfect
    microscope.
    """

    seed: int = Field(default=0, ge=0)
    tilt_rms: float = Field(default=0.0, ge=0)
    """Tilt-angle error on each of phi, theta, psi, normal, rms [deg]."""
    defocus_range: float = Field(default=0.0, ge=0)
    """Defocus error, uniform in ± this [Å]."""
    shift_range: float = Field(default=0.0, ge=0)
    """Misalignment along x and y, uniform in ± this [Å]."""
    intensity_rms: float = Field(default=0.0, ge=0)
    """Relative error of each image's intensity, normal, rms."""
    scan_rms: float = Field(default=0.0, ge=0)
    """Scan noise: displacement of each row along x, the fast axis, normal and independent, rms [Å]."""
    drift_rms: float = Field(default=0.0, ge=0)
    """Drift of the specimen from the first row to the last, along each of x and y, normal, rms [Å]."""
    missing_wedge: float = Field(default=0.0, ge=0, lt=180)
    """Opening [deg] of the wedge about ±90° whose tilts are not recorded: 40 leaves those within ±70°."""

    @property
    def displaces(self) -> bool:
        """Whether finished images are moved, as a whole or by rows."""
        return bool(self.shift_range or self.scan_rms or self.drift_rms)

    def content(self) -> dict[str, Any]:
        """What decides the counts. What came after the first cards counts only where it is not zero, so that
        their keys stay what they were.
        """
        later = ("scan_rms", "drift_rms", "missing_wedge")
        return self.model_dump(exclude={name for name in later if not getattr(self, name)})

    def recorded(self, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of the nominal tilts `theta` (n_tilt,) [deg] lie outside the missing wedge."""
        return np.asarray(np.abs(theta) <= 90 - self.missing_wedge / 2 + 1e-9) | (self.missing_wedge == 0)


class ImagingCard(Card):
    """The acquisition of an ADF-STEM tilt series and the engine that simulates it."""

    modality: Literal["adf"] = "adf"
    engine: Literal["multislice", "abtem", "linear"] = "multislice"
    version: int = 1
    seed: int = Field(default=0, ge=0)
    energy_eV: float = Field(gt=0)
    semiangle_mrad: float = Field(gt=0)
    defocus: float = 0.0
    """Defocus relative to the particle's centre [Å]; positive is underfocus, as in abTEM."""
    Cs: float = 0.0
    detector_inner_mrad: float = Field(gt=0)
    detector_outer_mrad: float = Field(gt=0)
    source_sigma: float = Field(default=0.0, ge=0)
    """Standard deviation of the Gaussian source size [Å]."""
    potential_sampling: float = Field(gt=0)
    """Largest pixel of the potential and of the wave functions [Å]."""
    slice_thickness: float = Field(gt=0)
    phonons: int = Field(ge=1)
    phonon_sigma: float = Field(ge=0)
    """Standard deviation of the thermal displacement along each axis [Å]."""
    pixel_size: float = Field(gt=0)
    n_pixels: int = Field(ge=8)
    """Images have n_pixels × n_pixels pixels of pixel_size [Å]."""
    tilts: TiltCard

    def finer(self) -> int:
        """How many times as densely pixels must lie, along x and y, for the image to be displaced exactly.

        Until they sample the band limit 2 semiangle/wavelength, or until what the source size leaves of
        their Nyquist frequency is below `TRANSFER`.
        """
        voltage = self.energy_eV
        momentum = np.sqrt(
            2 * electron_mass * elementary_charge * voltage * (1 + voltage / (2 * REST_ENERGY))
        )
        limit = 2 * self.semiangle_mrad * 1e-3 * momentum / Planck * 1e-10
        if self.source_sigma > 0:
            limit = min(limit, np.sqrt(-np.log(TRANSFER) / 2) / (np.pi * self.source_sigma))
        return max(1, int(np.ceil(2 * limit * self.pixel_size - 1e-9)))

    @model_validator(mode="after")
    def _ordered_detector(self) -> ImagingCard:
        if self.detector_outer_mrad <= self.detector_inner_mrad:
            raise ValueError("detector_outer_mrad must be larger than detector_inner_mrad")
        return self


class DatasetCard(Card):
    """One dataset: what is imaged, how, and at which doses."""

    name: str
    title: str
    reference: str
    structure: StructureRecipe
    """In a card also the name of a structure of the catalog."""
    imaging: ImagingCard
    imperfections: ImperfectionCard = Field(default_factory=lambda: ImperfectionCard.model_validate({}))
    background: float = Field(ge=0)
    """Uniform background [electron per pixel]."""
    doses: tuple[float, ...] = Field(min_length=1)
    """Doses [e⁻/Å² per image]."""
    cost: str
    """What it takes to simulate on two cores, as measured."""

    @field_validator("structure", mode="before")
    @classmethod
    def _named_structure(cls, structure: object) -> object:
        return load_structure(structure).recipe if isinstance(structure, str) else structure

    @model_validator(mode="after")
    def _tilts_are_left(self) -> DatasetCard:
        if not len(self.theta()):
            wedge = self.imperfections.missing_wedge
            raise ValueError(f"a missing_wedge of {wedge:g}° leaves no tilt of the series")
        return self

    def theta(self) -> npt.NDArray[np.float64]:
        """The nominal angles [deg] of the images that are recorded, (n_recorded,)."""
        theta = self.imaging.tilts.theta()
        return theta[self.imperfections.recorded(theta)]

    def finer(self) -> int:
        """How many times as densely as recorded the images are computed: more than once only where they are
        displaced and the pixels are too coarse for that (`ImagingCard.finer`).
        """
        return self.imaging.finer() if self.imperfections.displaces else 1

    def structure_key(self) -> str:
        """Content key of the structure."""
        return self.structure.key()

    def images_key(self) -> str:
        """Content key of what multislice computes: structure, acquisition, and the imperfections that reach
        into it.
        """
        errors = self.imperfections.model_dump(include={"seed", "tilt_rms", "defocus_range"})
        if not (self.imperfections.tilt_rms or self.imperfections.defocus_range):
            errors = {}
        content = [self.structure.content(), self.imaging.model_dump(), errors]
        return content_key(content if self.finer() == 1 else [*content, {"finer": self.finer()}])

    def key(self) -> str:
        """Content key of the store: everything that decides the counts of a dose and replicate."""
        return content_key([self.images_key(), self.imperfections.content(), self.background])


def content_key(content: object) -> str:
    """Sixteen hexadecimal digits that depend on nothing but `content` (JSON types)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dataset_names() -> list[str]:
    """The names of all datasets in the catalog."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def structure_names() -> list[str]:
    """The names of all structures in the catalog."""
    return sorted(path.stem for path in STRUCTURES.glob("*.yaml"))


def load_structure(name: str) -> StructureCard:
    """The structure card called `name`, one in the catalog or the path of a YAML file.

    `si-208[seed=3]` asks for another seed: an independent structure of the same kind. Raises `InputError`.
    """
    base, options = parse_name(name)
    if base.endswith((".yaml", ".yml")):
        card = load_card(StructureCard, Path(base))
    elif base in structure_names():
        card = load_card(StructureCard, STRUCTURES / f"{base}.yaml")
    else:
        raise unknown_name("structure", base, structure_names())
    if not options:
        return card
    content = card.model_dump()
    for option, value in options.items():
        if option != "seed":
            raise InputError(f"structure {name!r}: {unknown_name('option', option, ['seed'])}")
        content["recipe"]["seed"] = value
    content["name"] = f"{card.name}[{','.join(f'{k}={v}' for k, v in sorted(options.items()))}]"
    return parse_card(StructureCard, content, where=f"structure {name!r}")


def structure_card_of(recipe: StructureRecipe) -> StructureCard | None:
    """The structure card with this recipe, whatever the seed; None where the catalog has none."""
    for name in structure_names():
        card = load_structure(name)
        if card.recipe.model_copy(update={"seed": recipe.seed}) == recipe:
            return card.model_copy(update={"recipe": recipe})
    return None


def load_dataset(name: str) -> DatasetCard:
    """The card called `name`.

    `name` is one in the catalog or the path of a YAML file; `cuau-150[seed=3]` overrides the structure's
    seed (another particle of the same kind), `cuau-150[engine=linear]` the engine, and every number of the
    acquisition and its imperfections can be given (`datasets.catalog.overrides`). The card has the full
    name, in one spelling, so that noise seeds differ between such siblings. Raises `InputError`.
    """
    base, given = parse_name(name)
    if base.endswith((".yaml", ".yml")):
        card = load_card(DatasetCard, Path(base))
    elif base in dataset_names():
        card = load_card(DatasetCard, FOLDER / f"{base}.yaml")
    else:
        raise unknown_name("dataset", base, dataset_names())
    if not given:
        return card
    content = override(card, given, name)
    try:
        changed = parse_card(DatasetCard, content, where=f"dataset {name!r}")
    except InputError as error:
        raise InputError(in_words_of_names(str(error), card)) from None
    cost = card.cost
    if changed.imaging.engine == "linear":
        cost = "seconds, by the linear engine"
    elif changed.structure == card.structure and changed.images_key() != card.images_key():
        cost = f"not measured with these numbers; {card.name}: {cost}"
    return changed.model_copy(update={"name": format_override(card, changed, given), "cost": cost})
