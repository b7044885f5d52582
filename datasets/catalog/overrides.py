"""Numbers of a dataset card changed by its name: `copdpt-300[tilt_rms=0.5]`, `cuau-150[tilt_range=60]`.

Two names that ask for the same thing become one, `format_override`, because the noise is drawn from the name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datasets.catalog.imperfections import APPLIES
from datasets.errors import InputError, unknown_name
from datasets.naming import Value, format_name

if TYPE_CHECKING:
    from datasets.catalog import DatasetCard

Path = tuple[str, ...]

TILT_RANGE = "tilt_range"
"""As many tilts as before, evenly from minus this to plus this [deg]."""

KEPT = ("seed", "engine")
"""Options that stay in a name even where they repeat the card: such names have always had their own noise."""

_RENAMED: Mapping[str, Path] = {
    "seed": ("structure", "seed"),
    "engine": ("imaging", "engine"),
    "phonon_seed": ("imaging", "seed"),
    "imperfection_seed": ("imperfections", "seed"),
    "background": ("background",),
}

_TILTS: Mapping[str, Path] = {
    "tilt_start": ("imaging", "tilts", "start"),
    "tilt_stop": ("imaging", "tilts", "stop"),
    "n_tilts": ("imaging", "tilts", "n"),
}

_OF_MODALITY: Mapping[str, Mapping[str, Path]] = {
    "adf": _TILTS,
    "4dstem": _TILTS,
    "hrtem": {"frame": ("structure", "parameters", "snapshot")},
}
"""What only datasets of a modality have: a frame is the same sheet, that many frames later."""

_MISSING_ATOMS = {"vacancies": 1, "divacancies": 2}
"""Atoms that are missing for each defect of a sheet: with other defects it keeps its sites, not its atoms."""

_OF_GENERATOR: Mapping[str, Mapping[str, Path]] = {
    "graphene": {defect: ("structure", "parameters", defect) for defect in (*_MISSING_ATOMS, "stone_wales")}
}
"""What only structures of a generator have."""

_LEFT_OUT: Mapping[Path, Value] = dict.fromkeys(
    (*_OF_MODALITY["hrtem"].values(), *_OF_GENERATOR["graphene"].values()), 0
)
"""Entries of the card that are not there where they have this value."""


def options(card: DatasetCard) -> dict[str, Path]:
    """Every option of a name and where its value lies in the card: each number of the acquisition and of its
    imperfections under its own name, and those that need another.
    """
    modality = card.imaging.modality
    own: dict[str, Path] = {
        field: ("imaging", field)
        for field, info in type(card.imaging).model_fields.items()
        if info.annotation in (int, float, float | None) and field not in ("seed", "version")
    }
    own |= {field: ("imperfections", field) for field in APPLIES[modality]}
    own |= _OF_GENERATOR.get(card.structure.generator, {})
    return {**_RENAMED, **_OF_MODALITY.get(modality, {}), **own}


def option_names(card: DatasetCard) -> list[str]:
    """Every option that a name may have, in alphabetical order."""
    known = list(options(card))
    return sorted([*known, TILT_RANGE] if "n_tilts" in known else known, key=str.lower)


def override(card: DatasetCard, given: Mapping[str, Value], name: str) -> dict[str, Any]:
    """The content of `card` with the values of `given`, to be held to the schema; `name` is for the errors.

    Raises `InputError` for an unknown option, for one that is not a finite number, and for a `tilt_range`
    beside the `tilt_start` or `tilt_stop` that it stands for.
    """
    known = options(card)
    content = card.model_dump()
    for option, value in given.items():
        if option not in option_names(card):
            word = str(value) if option == "variant" else option  # a word without a value
            raise InputError(f"dataset {name!r}: {unknown_name('option', word, option_names(card))}")
        if option != "engine" and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            said = str(value).lower() if isinstance(value, bool) or value is None else value
            raise InputError(f"dataset {name!r}: option {option!r} must be a finite number, not {said}")
        if option == TILT_RANGE:
            clash = {"tilt_start", "tilt_stop"} & set(given)
            if clash:
                raise InputError(f"dataset {name!r}: give {TILT_RANGE!r} or {min(clash)!r}, not both")
            assert isinstance(value, (int, float))
            _put(content, known["tilt_start"], -value)
            _put(content, known["tilt_stop"], value)
        else:
            if option in _MISSING_ATOMS and isinstance(value, (int, float)):
                sheet = content["structure"]["parameters"]
                more = value - _get(card, known[option])
                sheet["n_atoms"] = _plain(sheet["n_atoms"] - _MISSING_ATOMS[option] * more)
            _put(content, known[option], _plain(value))
    return content


def format_override(card: DatasetCard, changed: DatasetCard, given: Mapping[str, Value]) -> str:
    """The one name of `changed`, which is `card` with other numbers: the options that differ, in alphabetical
    order, whatever was `given` in whatever order and spelling.
    """
    said: dict[str, Value] = {}
    for option, path in options(card).items():
        before, after = _get(card, path), _get(changed, path)
        if before != after or (option in KEPT and option in given):
            said[option] = _plain(after)
    if "tilt_start" in said or "tilt_stop" in said:
        tilts = changed.tilts
        if tilts.start == -tilts.stop:
            said.pop("tilt_start", None)
            said.pop("tilt_stop", None)
            said[TILT_RANGE] = _plain(tilts.stop)
    return format_name(card.name, said)


def in_words_of_names(sentence: str, card: DatasetCard) -> str:
    """A sentence about keys of the card (`imaging.tilts.n`), speaking of the options that set them."""
    for option, path in options(card).items():
        sentence = sentence.replace(f"key '{'.'.join(path)}'", f"option {option!r}")
    return sentence


def _plain(value: Any) -> Value:
    """30 for 30.0, so that both are one name."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _get(card: DatasetCard, path: Path) -> Any:
    found: Any = card
    for step in path:
        found = found.get(step, _LEFT_OUT.get(path)) if isinstance(found, Mapping) else getattr(found, step)
    return found


def _put(content: dict[str, Any], path: Path, value: Value) -> None:
    for step in path[:-1]:
        content = content[step]
    if path in _LEFT_OUT and value == _LEFT_OUT[path]:
        content.pop(path[-1], None)
    else:
        content[path[-1]] = value
