"""MATLAB files: version 5 through SciPy, version 7.3 (HDF5) through h5py, with MATLAB's order of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.formats.stored import MATLAB5, MATLAB73, StoredArray, choose_variable, named_arrays, reading

_NUMERIC = {"double", "single", "logical"} | {f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}


class MatlabFile:
    """The top-level variables of a `.mat` of either version, each with the shape that MATLAB's `size` gives.

    Raises `InputError` when the file is damaged or not a MATLAB file.
    """

    def __init__(self, path: str) -> None:
        import h5py

        self.path = path
        self._hdf5 = bool(h5py.is_hdf5(path))
        self.what = MATLAB73 if self._hdf5 else MATLAB5
        with reading(path, self.what):
            self._classes = self._list73() if self._hdf5 else self._list5()

    def _list5(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        from scipy.io import whosmat

        return {name: (kind, tuple(shape)) for name, shape, kind in whosmat(self.path)}

    def _list73(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        import h5py

        found = {}
        with h5py.File(self.path, "r") as file:
            for name, item in file.items():
                if isinstance(item, h5py.Dataset):
                    kind = item.attrs.get("MATLAB_class", b"double")
                    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
                    found[name] = (kind, item.shape[::-1])
        return found

    @property
    def names(self) -> list[str]:
        """Every variable."""
        return list(self._classes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every numeric variable."""
        return {name: shape for name, (kind, shape) in self._classes.items() if kind in _NUMERIC}

    def load(self, name: str) -> Any:
        """The value of a variable: an array with MATLAB's axes, or a text."""
        with reading(self.path, self.what):
            value = self._load73(name) if self._hdf5 else self._load5(name)
        if self._classes[name][0] == "char":
            return "".join(value.reshape(-1)).strip()
        return value

    def _load5(self, name: str) -> npt.NDArray[Any]:
        from scipy.io import loadmat

        return np.asarray(loadmat(self.path, variable_names=[name])[name])

    def _load73(self, name: str) -> npt.NDArray[Any]:
        import h5py

        with h5py.File(self.path, "r") as file:
            value = np.asarray(file[name][()]).T
        if value.dtype.names is not None:  # MATLAB stores a complex array as pairs
            value = value["real"] + 1j * value["imag"]
        if self._classes[name][0] == "char":
            value = np.array([chr(code) for code in value.reshape(-1)])
        return value


def read_matlab(path: str, *, variable: str | None, modality: str) -> StoredArray:
    """The measurement in a `.mat`: `variable`, or the only array with the right number of dimensions.

    Only a file that holds `schema_version` (written by `write_measurement`) is read by the schema's names,
    with no option: elsewhere a MATLAB array called `counts` may have its axes in any order. Raises
    `InputError`.
    """
    file = MatlabFile(path)
    schema_names = file.names if "schema_version" in file.names else []
    return named_arrays(
        path, file.shapes, file.load, variable=variable, modality=modality, schema_names=schema_names
    )


def load_matlab_table(path: str, variable: str | None) -> npt.NDArray[Any]:
    """The only (or the named) matrix of a `.mat`, such as a list of angles. Raises `InputError`."""
    file = MatlabFile(path)
    return np.asarray(file.load(choose_variable(path, file.shapes, variable, 2)))


def matlab_text(path: str, name: str) -> str | None:
    """The text `name` in a `.mat`, or None without one. Raises `InputError`."""
    file = MatlabFile(path)
    return str(file.load(name)) if name in file.names else None
