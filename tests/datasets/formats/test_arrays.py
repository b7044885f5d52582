"""Files of plain arrays: NumPy and both versions of MATLAB."""

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.errors import InputError
from datasets.formats import import_measurement, read_measurement


def save_matlab73(path, **variables):
    """What MATLAB's `save -v7.3` writes: a 512-byte header, columns first, classes as attributes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
                file.create_dataset(name, data=codes[:, np.newaxis])
                file[name].attrs["MATLAB_class"] = np.bytes_("char")
                file[name].attrs["MATLAB_int_decode"] = np.int32(2)
                continue
            value = np.atleast_2d(value)
            stored = value.T
            if np.iscomplexobj(value):
                pair = np.empty(stored.shape, [("real", "f8"), ("imag", "f8")])
                pair["real"], pair["imag"] = stored.real, stored.imag
                stored = pair
            file.create_dataset(name, data=stored)
            names = {"float64": "double", "float32": "single", "complex128": "double"}
            file[name].attrs["MATLAB_class"] = np.bytes_(names.get(value.dtype.name, value.dtype.name))
    with open(path, "r+b") as stream:
        header = (
            b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 01 00:00:00 2024 HDF5 schema 1.00 ."
        )
        stream.write(header.ljust(116) + bytes(8) + b"\x00\x02IM")


def save_matlab5(path, **variables):
    scipy.io.savemat(path, variables)


MATLAB = pytest.mark.parametrize("save", [save_matlab5, save_matlab73], ids=["v5", "v7.3"])


def schema_arrays(series):
    named = {name: series[name].values for name in ("counts", "phi", "theta", "psi", "y", "x")}
    return named | {
        name: np.array(series.attrs[name])
        for name in ("dose_per_area", "pixel_size", "background", "elements", "energy_eV")
    }


def test_npz_named_like_the_schema_needs_no_option(tmp_path, series):
    np.savez(tmp_path / "s.npz", **schema_arrays(series))
    xr.testing.assert_identical(import_measurement(tmp_path / "s.npz"), series)


def test_npz_without_pixel_size_takes_that_of_its_coordinates(tmp_path, series):
    arrays = schema_arrays(series)
    del arrays["pixel_size"]
    np.savez(tmp_path / "s.npz", **arrays)
    assert import_measurement(tmp_path / "s.npz").attrs["pixel_size"] == pytest.approx(0.35)


def test_npz_with_theta_alone_is_single_axis(tmp_path, series):
    arrays = schema_arrays(series)
    del arrays["phi"], arrays["psi"]
    np.savez(tmp_path / "s.npz", **arrays)
    data = import_measurement(tmp_path / "s.npz")
    np.testing.assert_array_equal(data["theta"], series["theta"])
    assert not data["phi"].any()
    assert not data["psi"].any()


def test_npz_of_another_modality_says_so(tmp_path):
    np.savez(
        tmp_path / "d.npz",
        counts=discs(2, 3),
        theta=[-30.0, 30.0],
        scan_y=[0.0, 0.0, 0.4],
        scan_x=[0.0, 0.4, 0.4],
        ky=(np.arange(11) - 5) * 0.3,
        kx=(np.arange(13) - 6) * 0.3,
        pixel_size=0.5,
        dose_per_area=4e3,
        energy_eV=300e3,
        semiangle_mrad=21.0,
        defocus=0.0,
        background=0.0,
        elements="Cu, Au",
    )
    data = import_measurement(tmp_path / "d.npz", modality="4dstem")
    assert data["counts"].dims == ("tilt", "scan", "ky", "kx")
    assert data.attrs["elements"] == ["Cu", "Au"]


FOUR_D = {
    "modality": "4dstem",
    "pixel_size": 0.5,
    "reciprocal_pixel_size": 0.3,
    "dose": 4000.0,
    "background": 0.0,
    "elements": ["Cu", "Au"],
    "energy_eV": 300e3,
    "semiangle_mrad": 21.0,
    "defocus": -200.0,
}


def discs(*scan):
    """Patterns of 11 × 13 pixels, whose bright disc has a radius of 3.6, at each position of a scan."""
    rows, columns = np.indices((11, 13))
    disc = np.clip(4.05 - np.hypot(rows - 5, columns - 6), 0, 1)
    return np.random.default_rng(0).poisson(1000 * disc / disc.sum(), (*scan, 11, 13)).astype(np.uint16)


def test_a_scan_of_two_axes_becomes_one(tmp_path):
    """Two tilts of 3 × 2 positions with patterns of 11 × 13 pixels, kx first as some detectors store them."""
    counts = discs(2, 3, 2)
    np.save(tmp_path / "d.npy", counts.swapaxes(3, 4))
    np.savetxt(tmp_path / "angles.txt", [-30.0, 30.0])
    data = import_measurement(
        tmp_path / "d.npy",
        axes="tilt,scan_y,scan_x,kx,ky",
        angles=tmp_path / "angles.txt",
        angle_convention="active",
        **FOUR_D,
    )
    np.testing.assert_array_equal(data["counts"], counts.reshape(2, 6, 11, 13))
    np.testing.assert_array_equal(data["scan_y"], [-0.5, -0.5, 0, 0, 0.5, 0.5])
    np.testing.assert_array_equal(data["scan_x"], [-0.5, 0, -0.5, 0, -0.5, 0])
    np.testing.assert_allclose(data["kx"], 0.3 * (np.arange(13) - 6), atol=0.05)
    assert (data.attrs["semiangle_mrad"], data.attrs["defocus"]) == (21.0, -200.0)


def test_patterns_of_one_tilt_need_no_axis_for_it(tmp_path):
    counts = discs(3, 2)
    np.savetxt(tmp_path / "angle.txt", [12.0])
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["datacube/data"] = counts
        file["other"] = np.zeros(3)
    known = {"angles": tmp_path / "angle.txt", "angle_convention": "active", **FOUR_D}
    data = import_measurement(tmp_path / "d.h5", axes="scan_y,scan_x,ky,kx", **known)
    np.testing.assert_array_equal(data["counts"], counts.reshape(1, 6, 11, 13))
    assert data["theta"].values.tolist() == [12.0]
    with pytest.raises(InputError, match=r"--reciprocal-pixel-size \[1/Å\]"):
        import_measurement(
            tmp_path / "d.h5", axes="scan_y,scan_x,ky,kx", **(known | {"reciprocal_pixel_size": None})
        )
    with pytest.raises(InputError, match="--axes must name each of tilt, scan, ky, kx once"):
        import_measurement(tmp_path / "d.h5", axes="y,x,ky,kx", **known)


def test_npy(tmp_path, series, options):
    np.save(tmp_path / "s.npy", series["counts"].values)
    data = import_measurement(tmp_path / "s.npy", axes="tilt,y,x", **options)
    xr.testing.assert_identical(data, series)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["tilt", "y", "x"]), dtype=st.sampled_from(["<u2", ">u2", ">f4", "<i8", "f2"]))
def test_any_order_of_axes_and_any_number_type_gives_the_same_measurement(
    tmp_path, series, options, order, dtype
):
    stored = series["counts"].transpose(*order).values.astype(dtype)
    np.save(tmp_path / "s.npy", stored)
    data = import_measurement(tmp_path / "s.npy", axes=",".join(order), **options)
    np.testing.assert_array_equal(data["counts"], series["counts"])
    assert data["counts"].dtype.isnative
    xr.testing.assert_equal(data.drop_vars("counts"), series.drop_vars("counts"))


@MATLAB
def test_matlab_stack_with_its_axes_as_matlab_shows_them(tmp_path, series, options, save):
    path = str(tmp_path / "s.mat")
    save(path, stack=series["counts"].transpose("y", "x", "tilt").values, other=np.eye(3))
    data = import_measurement(path, axes="y,x,tilt", **options)
    assert data.attrs.pop("import_notes") == ["arrays that were not used: other"]
    xr.testing.assert_identical(data, series)


@MATLAB
def test_matlab_array_is_chosen_by_name(tmp_path, series, options, save):
    path = str(tmp_path / "s.mat")
    stack = series["counts"].values.astype(np.float64)
    save(path, raw=np.zeros_like(stack), projections=stack, note="aligned")
    for how in ({"file": f"{path}:projections"}, {"file": path, "variable": "projections"}):
        data = import_measurement(**how, axes="tilt,y,x", **options)
        np.testing.assert_array_equal(data["counts"], series["counts"])
    with pytest.raises(
        InputError, match=r"say which array to import, e\.g\. .*s\.mat:\w+; it holds .*raw \(4"
    ):
        import_measurement(path, axes="tilt,y,x", **options)
    with pytest.raises(InputError, match=r"no array 'nothing' in it; its arrays are: .*raw \(4, 6, 7\)"):
        import_measurement(f"{path}:nothing", axes="tilt,y,x", **options)
    with pytest.raises(InputError, match="name two arrays"):
        import_measurement(f"{path}:raw", variable="projections", axes="tilt,y,x", **options)


@MATLAB
def test_matlab_counts_have_no_axes_of_their_own(tmp_path, series, options, save):
    path = str(tmp_path / "s.mat")
    save(path, counts=series["counts"].values, theta=series["theta"].values)
    with pytest.raises(InputError, match=r"--axes y,x,tilt \(the array's shape is \(4, 6, 7\)\)$"):
        import_measurement(path, **options)


@MATLAB
def test_matlab_angles(tmp_path, series, options, save):
    path = str(tmp_path / "angles.mat")
    save(path, theta=series["theta"].values[np.newaxis], scale=2.0, label="degrees")
    np.save(tmp_path / "s.npy", series["counts"].values)
    options["angles"] = f"{path}:theta"
    data = import_measurement(tmp_path / "s.npy", axes="tilt,y,x", **options)
    np.testing.assert_array_equal(data["theta"], series["theta"])


@MATLAB
def test_complex_arrays_are_refused(tmp_path, series, options, save):
    path = str(tmp_path / "s.mat")
    save(path, wave=series["counts"].values * (1 + 2j))
    with pytest.raises(InputError, match=r"the array is complex \(complex128\), expected electron counts"):
        import_measurement(path, axes="tilt,y,x", **options)


def test_our_matlab_export_resaved_by_matlab_is_read_with_no_option(tmp_path, series):
    plain = schema_arrays(series) | {
        "modality": "adf",
        "schema_version": np.array(1.0),
        "elements": "Cu,Au",
    }
    save_matlab73(tmp_path / "s.mat", **plain)
    xr.testing.assert_identical(read_measurement(tmp_path / "s.mat"), series)
