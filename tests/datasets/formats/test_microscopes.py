"""MRC, EMD, HyperSpy and bare HDF5, written by the libraries that define them."""

import h5py
import mrcfile
import numpy as np
import pytest
import xarray as xr
from rsciio.emd import file_writer as write_emd
from rsciio.hspy import file_writer as write_hspy

from datasets.errors import InputError
from datasets.formats import import_measurement


def write_mrc(path, values, voxel_size):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values)
        file.voxel_size = voxel_size


def signal(values, axes, title="stack", energy=None):
    """A signal as RosettaSciIO takes it; `axes` are (name, scale, units)."""
    metadata = {"General": {"title": title}, "Signal": {"signal_type": ""}}
    if energy is not None:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": energy}}
    return {
        "data": values,
        "axes": [
            {
                "name": name,
                "scale": scale,
                "offset": 0.0,
                "units": units,
                "size": n,
                "index_in_array": i,
                "navigate": i == 0,
                "_type": "UniformDataAxis",
                "is_binned": False,
            }
            for i, ((name, scale, units), n) in enumerate(zip(axes, values.shape, strict=True))
        ],
        "metadata": metadata,
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False},
        "package_info": {"package": "dosebench", "package_version": "1"},
        "tmp_parameters": {},
        "models": {},
    }


AXES = (("tilt", 1.0, "deg"), ("y", 0.035, "nm"), ("x", 0.035, "nm"))


@pytest.mark.parametrize("suffix", [".mrc", ".mrcs", ".st", ".rec", ".ali"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_mrc_gives_axes_and_pixel_size(tmp_path, series, options, suffix, dtype):
    path = tmp_path / f"s{suffix}"
    write_mrc(path, series["counts"].values.astype(dtype), 0.35)
    del options["pixel_size"]
    data = import_measurement(path, **options)
    assert data["counts"].dtype == dtype
    np.testing.assert_array_equal(data["counts"], series["counts"])
    assert data.attrs["pixel_size"] == pytest.approx(0.35, rel=1e-6)
    np.testing.assert_allclose(data["x"], series["x"], rtol=1e-6)
    assert "import_notes" not in data.attrs


def test_mrc_sections_may_be_something_else(tmp_path, series, options):
    write_mrc(tmp_path / "s.mrc", series["counts"].transpose("y", "x", "tilt").values, 0.35)
    data = import_measurement(tmp_path / "s.mrc", axes="y,x,tilt", **options)
    np.testing.assert_array_equal(data["counts"], series["counts"])


@pytest.mark.parametrize("unknown", [0.0, 1.0])
def test_mrc_header_that_says_nothing_is_not_believed(tmp_path, series, options, unknown):
    write_mrc(tmp_path / "s.mrc", series["counts"].values, unknown)
    del options["pixel_size"]
    with pytest.raises(
        InputError, match=rf"give also --pixel-size .*header's {unknown:g} Å is what programs"
    ):
        import_measurement(tmp_path / "s.mrc", **options)


def test_mrc_pixels_must_be_square(tmp_path, series, options):
    write_mrc(tmp_path / "s.mrc", series["counts"].values, (0.35, 0.5, 1.0))
    del options["pixel_size"]
    with pytest.raises(InputError, match=r"0\.35 Å along x and 0\.5 Å along y, pixels must be square"):
        import_measurement(tmp_path / "s.mrc", **options)


def test_an_option_wins_over_the_header_and_the_difference_is_noted(tmp_path, series, options):
    write_mrc(tmp_path / "s.mrc", series["counts"].values, 0.5)
    data = import_measurement(tmp_path / "s.mrc", **options)
    assert data.attrs.pop("import_notes") == ["pixel_size is 0.35 as said, the file has 0.5"]
    xr.testing.assert_identical(data, series)


def test_mrc_is_checked_by_its_own_library(tmp_path, series, options):
    path = tmp_path / "s.mrc"
    write_mrc(path, series["counts"].values, 0.35)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(
        InputError, match=r"s\.mrc: cannot be read as an MRC file, it is damaged or cut short"
    ):
        import_measurement(path, **options)
    path.write_bytes(whole[:200])
    with pytest.raises(InputError, match=r"s\.mrc: cannot be read as an MRC file"):
        import_measurement(path, **options)


@pytest.mark.parametrize(
    ("suffix", "write"), [(".emd", write_emd), (".hspy", write_hspy), (".hdf5", write_hspy)]
)
def test_emd_and_hyperspy_give_axes_and_calibration(tmp_path, series, options, suffix, write):
    path = tmp_path / f"s{suffix}"
    write(str(path), signal(series["counts"].values, AXES))
    del options["pixel_size"]
    data = import_measurement(path, **options)
    np.testing.assert_array_equal(data["counts"], series["counts"])
    assert data.attrs["pixel_size"] == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("scale", "units"),
    [(0.35, "Å"), (0.35, "A"), (35.0, "pm"), (0.035, "nm"), (3.5e-5, "um"), (3.5e-5, "µm")],
)
def test_emd_units_of_length(tmp_path, series, options, scale, units):
    path = tmp_path / "s.emd"
    write_emd(str(path), signal(series["counts"].values, (AXES[0], ("Y", scale, units), ("X", scale, units))))
    del options["pixel_size"]
    assert import_measurement(path, **options).attrs["pixel_size"] == pytest.approx(0.35)


def test_emd_axes_in_their_own_order(tmp_path, series, options):
    values = series["counts"].transpose("y", "tilt", "x").values
    write_emd(str(tmp_path / "s.emd"), signal(values, (AXES[1], AXES[0], AXES[2])))
    data = import_measurement(tmp_path / "s.emd", **options)
    xr.testing.assert_identical(data, series)


def test_emd_without_calibration_or_names_is_asked_about(tmp_path, series, options):
    path = tmp_path / "s.emd"
    write_emd(str(path), signal(series["counts"].values, (AXES[0], ("y", 1.0, "px"), ("x", 1.0, "px"))))
    unknown = options | {"pixel_size": None}
    with pytest.raises(InputError, match=r"--pixel-size \[Å\] \(the file gives no length for a pixel"):
        import_measurement(path, **unknown)
    write_emd(
        str(path), signal(series["counts"].values, (("a", 1.0, "px"), ("b", 1.0, "px"), ("c", 1.0, "px")))
    )
    with pytest.raises(
        InputError, match=r"--axes y,x,tilt \(the array's shape is .*the file calls them a, b, c"
    ):
        import_measurement(path, **options)
    xr.testing.assert_identical(import_measurement(path, axes="tilt,y,x", **options), series)


def test_emd_of_unequal_pixels(tmp_path, series, options):
    path = tmp_path / "s.emd"
    write_emd(str(path), signal(series["counts"].values, (AXES[0], ("y", 0.5, "Å"), ("x", 0.35, "Å"))))
    del options["pixel_size"]
    with pytest.raises(InputError, match=r"0\.35 Å along x and 0\.5 Å along y, pixels must be square"):
        import_measurement(path, **options)


def test_hyperspy_beam_energy_is_used(tmp_path, series, options):
    write_hspy(str(tmp_path / "s.hspy"), signal(series["counts"].values, AXES, energy=80.0))
    del options["energy_eV"]
    assert import_measurement(tmp_path / "s.hspy", **options).attrs["energy_eV"] == pytest.approx(80e3)


def test_hyperspy_signal_is_chosen_by_title(tmp_path, series, options):
    path = tmp_path / "s.hspy"
    write_hspy(str(path), signal(series["counts"].values, AXES, title="ADF"))
    with h5py.File(path, "r+") as file:
        file.copy("Experiments/ADF", "Experiments/BF")
        file["Experiments/BF/metadata/General"].attrs["title"] = "BF"
        file["Experiments/BF/data"][...] = 0
    with pytest.raises(InputError, match=r"say which array to import, e\.g\. .*s\.hspy:.*ADF \(4, 6, 7\)"):
        import_measurement(path, **options)
    data = import_measurement(f"{path}:ADF", **options)
    np.testing.assert_array_equal(data["counts"], series["counts"])


def test_bare_hdf5_by_path(tmp_path, series, options):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/stack"] = series["counts"].values
        file["entry/angles"] = np.zeros(4)
        file["entry/title"] = "a series"
    for name in (str(path), f"{path}:/entry/data/stack", f"{path}:entry/data/stack"):
        xr.testing.assert_identical(import_measurement(name, axes="tilt,y,x", **options), series)
    with pytest.raises(InputError, match="say which axis is which with --axes"):
        import_measurement(path, **options)
    with pytest.raises(
        InputError, match=r"no array 'entry/nothing' in it; its arrays are: entry/angles \(4,\)"
    ):
        import_measurement(f"{path}:/entry/nothing", axes="tilt,y,x", **options)
    with h5py.File(path, "r+") as file:
        file["entry/dark"] = np.zeros((4, 6, 7))
    with pytest.raises(InputError, match=r"it holds entry/dark .*, entry/data/stack"):
        import_measurement(path, axes="tilt,y,x", **options)
