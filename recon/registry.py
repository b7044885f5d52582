"""Names to reconstructors: built-in ones, entry points of installed packages, and `module:attribute`."""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
import typing
from importlib.metadata import entry_points
from typing import Any

from datasets.errors import InputError, unknown_name
from datasets.naming import Value, format_name, parse_name
from recon.base import Reconstructor

ENTRY_POINT_GROUP = "dosebench.reconstructors"
REFINED = "+ml"
"""Ends the name of a reconstructor whose answer `poisson-ml` starts from."""

BUILT_IN = {
    "fbp": "recon.tomography.fbp:FBP",
    "sirt": "recon.tomography.sirt:SIRT",
    "resire": "recon.tomography.resire:RESIRE",
    "fista": "recon.tomography.fista:FISTA",
    "mlem": "recon.tomography.mlem:MLEM",
    "sart": "recon.tomography.sart:SART",
    "wbp": "recon.tomography.wbp:WBP",
    "resire-fourier": "recon.tomography.resire_fourier:RESIREFourier",
    "genfire": "recon.tomography.genfire:GENFIRE",
    "poisson-ml": "recon.atoms.likelihood:PoissonML",
    "unet": "recon.neural.augmentation:UNetAugmentation",
    "pann": "recon.neural.pann:PANN",
    "irdm": "recon.neural.irdm:IRDM",
    "mset": "recon.ptychography.mset:MSET",
    "sset": "recon.ptychography.mset:SSET",
    "paet-multi": "recon.ptychography.paet:PtychographicAET",
    "paet-single": "recon.ptychography.paet:SingleSlicePAET",
    "atoms-4d": "recon.ptychography.atoms_4d:Atoms4D",
    "multislice-map": "recon.graphene.gradient:MultisliceMAP",
    "graphene-flat": "recon.graphene.initial:FlatGraphene",
    "graphene-pcd": "recon.graphene.initial:ChargeDensityGraphene",
    "annealing-md": "recon.graphene.annealing:AnnealingMD",
}


def reconstructor_names() -> list[str]:
    """The built-in reconstructors and those of installed packages."""
    return sorted(targets())


def targets() -> dict[str, str]:
    """Where each registered name is defined, as `module:Class`."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)} | BUILT_IN


def get_class(base: str) -> type[Reconstructor]:
    """The class called `base`: a registered name or `package.module:Name`. Raises `InputError`."""
    target = base if ":" in base else targets().get(base)
    if target is None:
        raise unknown_name("reconstructor", base, targets())
    module_name, _, attribute = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # `--with mine:Mine` finds mine.py where the user stands
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"reconstructor {base!r}: cannot import {module_name!r} ({error})") from error
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Reconstructor)):
        raise InputError(
            f"reconstructor {base!r}: {attribute!r} in {module_name!r} is not a Reconstructor class"
        )
    return found


def get(name: str) -> Reconstructor:
    """The reconstructor `name`, with its parameters: `resire`, `resire[published]`, `resire[n_iter=50]`.

    `resire+ml` is `poisson-ml` started from `resire`; parameters that `poisson-ml` lacks are the start's.

    Raises `InputError` for an unknown name, variant or parameter (answering with the nearest known one) and
    for a value of the wrong type.
    """
    base, options = parse_name(name)
    if ":" not in base and base.endswith(REFINED):
        start, options = split_options(base.removesuffix(REFINED), options)
        base, options = "poisson-ml", {"start": get(start).label, **options}
    cls = get_class(base)
    variant = options.pop("variant", None)
    chosen: dict[str, Value] = {}
    if variant is not None:
        if variant not in cls.variants:
            raise InputError(f"{name!r}: {unknown_name('variant', str(variant), cls.variants)}")
        chosen.update(cls.variants[str(variant)])
    fields = {f.name for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    for option, value in options.items():
        if option not in fields:
            raise InputError(f"{name!r}: {unknown_name('parameter', option, fields)}")
        chosen[option] = _typed(name, option, value, hints[option])
    try:
        return cls(**chosen)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name!r}: {error}") from error


def split_options(base: str, options: dict[str, Value]) -> tuple[str, dict[str, Value]]:
    """The name of the start of `base`+ml with `options`, and those of them that are `poisson-ml`'s own."""
    fields = {f.name for f in dataclasses.fields(get_class("poisson-ml"))} - {"start"}
    theirs = {key: value for key, value in options.items() if key not in fields}
    return format_name(base, theirs), {key: value for key, value in options.items() if key in fields}


def _typed(name: str, option: str, value: Value, hint: Any) -> Value:
    allowed = typing.get_args(hint) or (hint,)
    literals = [a for a in allowed if isinstance(a, (str, int, float)) and not isinstance(a, type)]
    if literals:
        if value not in literals:
            raise InputError(
                f"{name!r}: {option!r} must be one of {', '.join(map(str, literals))}, not {value!r}"
            )
        return value
    if float in allowed and type(value) is int:
        return float(value)
    if value is None and type(None) in allowed:
        return None
    if type(value) in allowed:
        return value
    wanted = " or ".join("none" if a is type(None) else getattr(a, "__name__", str(a)) for a in allowed)
    raise InputError(f"{name!r}: {option!r} must be {wanted}, not {value!r}")
