"""MRC tilt series (`.mrc`, `.mrcs`, `.st`, `.rec`, `.ali`): sections, rows and columns are tilt, y and x."""

from __future__ import annotations

import numpy as np

from datasets.errors import InputError
from datasets.formats.stored import MRC, StoredArray, reading

_SQUARE = 1e-3
"""Relative difference of the two pixel sizes up to which pixels count as square."""


def read_mrc(path: str, *, modality: str) -> StoredArray:
    """The stack in an MRC file, with the pixel size [Å] of its header.

    The first dimension is the section, which the format puts slowest: tilt (or frame), y, x. A header
    that gives 0 or exactly 1 Å says nothing, for that is what programs write when they do not know. Raises
    `InputError`.
    """
    import mrcfile

    with reading(path, MRC), mrcfile.open(path, mode="r", permissive=False) as file:
        values = np.array(file.data)
        header = file.header
        order = (int(header.mapc), int(header.mapr), int(header.maps))
        size = {axis: float(file.voxel_size[axis]) for axis in "xy"}
    if order not in ((1, 2, 3), (0, 0, 0)):
        raise InputError(f"{path}: columns, rows and sections are axes {order}, expected (1, 2, 3)")
    attributes: dict[str, float] = {}
    hints: dict[str, str] = {}
    if size["x"] <= 0 or size["y"] <= 0 or size["x"] == size["y"] == 1:
        hints["pixel_size"] = f"the header's {size['x']:g} Å is what programs write when they do not know"
    elif abs(size["x"] - size["y"]) > _SQUARE * size["x"]:
        hints["pixel_size"] = (
            f"the header says {size['x']:g} Å along x and {size['y']:g} Å along y, pixels must be square"
        )
    else:
        attributes["pixel_size"] = size["x"]
    first = "frame" if modality == "hrtem" else "tilt"
    axes = (first, "y", "x") if values.ndim == 3 and modality in ("adf", "hrtem") else None
    return StoredArray(values, axes=axes, attributes=attributes, hints=hints)
