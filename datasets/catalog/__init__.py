"""The datasets and structures there are, one YAML card each, and the content keys of what cards determine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationInfo, field_validator, model_validator

from datasets.cards import Card, load_card, parse_card
from datasets.catalog.acquisition import AdfCard, FourDStemCard, HrtemCard, ImagingCard, TiltCard
from datasets.catalog.imperfections import APPLIES, ImperfectionCard
from datasets.catalog.overrides import format_override, in_words_of_names, override
from datasets.errors import InputError, unknown_name
from datasets.naming import parse_name

__all__ = [
    "AdfCard",
    "DatasetCard",
    "Expected",
    "FourDStemCard",
    "HrtemCard",
    "ImagingCard",
    "ImperfectionCard",
    "StructureCard",
    "StructureRecipe",
    "TiltCard",
    "content_key",
    "dataset_names",
    "load_dataset",
    "load_structure",
    "structure_card_of",
    "structure_names",
]

FOLDER = Path(__file__).parent
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
    def _imperfections_apply(self) -> DatasetCard:
        modality = self.imaging.modality
        for name in self.imperfections.foreign_to(modality):
            known = ", ".join(APPLIES[modality])
            raise ValueError(f"{name} is no imperfection of {modality} images, which may have {known}")
        if self.is_tilt_series and not len(self.theta()):
            wedge = self.imperfections.missing_wedge
            raise ValueError(f"a missing_wedge of {wedge:g}° leaves no tilt of the series")
        return self

    @property
    def adf(self) -> AdfCard:
        """The acquisition where it is an ADF tilt series; raises `InputError` where it is another."""
        if not isinstance(self.imaging, AdfCard):
            raise InputError(
                f"dataset {self.name}: this needs an adf tilt series, its images are {self.imaging.modality}"
            )
        return self.imaging

    @property
    def four_d_stem(self) -> FourDStemCard:
        """The acquisition where it is a 4D-STEM tilt series; raises `InputError` where it is another."""
        if not isinstance(self.imaging, FourDStemCard):
            raise InputError(
                f"dataset {self.name}: this needs a 4dstem series, its images are {self.imaging.modality}"
            )
        return self.imaging

    @property
    def is_tilt_series(self) -> bool:
        """Whether there is an image, or a scan of patterns, for each of several tilts."""
        return not isinstance(self.imaging, HrtemCard)

    @property
    def tilts(self) -> TiltCard:
        """The nominal tilts; raises `InputError` where there are none."""
        if isinstance(self.imaging, HrtemCard):
            raise InputError(
                f"dataset {self.name}: this needs a tilt series, its images are {self.imaging.modality}"
            )
        return self.imaging.tilts

    @property
    def hrtem(self) -> HrtemCard:
        """The acquisition where it is an HRTEM frame; raises `InputError` where it is another."""
        if not isinstance(self.imaging, HrtemCard):
            raise InputError(
                f"dataset {self.name}: this needs an hrtem frame, its images are {self.imaging.modality}"
            )
        return self.imaging

    @property
    def n_images(self) -> int:
        """How many images a measurement of this dataset has."""
        return len(self.theta()) if self.is_tilt_series else 1

    @property
    def frame(self) -> int:
        """Which frame of the series of its structure this is; 0 where there is none."""
        return int(self.structure.parameters.get("snapshot", 0))

    def possible_imperfections(self) -> set[str]:
        """The fields of `imperfections` that mean something for these images."""
        return {"seed", *APPLIES[self.imaging.modality]}

    def theta(self) -> npt.NDArray[np.float64]:
        """The nominal angles [deg] of the images that are recorded, (n_recorded,)."""
        theta = self.tilts.theta()
        return theta[self.imperfections.recorded(theta)]

    def finer(self) -> int:
        """How many times as densely as recorded the images are computed: more than once only where they are
        displaced and the pixels are too coarse for that (`AdfCard.finer`).
        """
        return (
            self.imaging.finer() if isinstance(self.imaging, AdfCard) and self.imperfections.displaces else 1
        )

    def structure_key(self) -> str:
        """Content key of the structure."""
        return self.structure.key()

    def images_key(self) -> str:
        """Content key of what multislice computes: structure, acquisition, and the imperfections that reach
        into it.
        """
        reaching = {"tilt_rms", "defocus_range"}
        if isinstance(self.imaging, FourDStemCard):
            reaching |= {"shift_range"}  # there are no pixels that could be moved afterwards
        errors = self.imperfections.model_dump(include={"seed", *reaching})
        if not any(getattr(self.imperfections, name) for name in reaching):
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
    """The structure card with this recipe, whatever the seed and the frame; None where the catalog has
    none.
    """
    parameters = {name: value for name, value in recipe.parameters.items() if name != "snapshot"}
    for name in structure_names():
        card = load_structure(name)
        if card.recipe.model_copy(update={"seed": recipe.seed}) == recipe.model_copy(
            update={"parameters": parameters}
        ):
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
