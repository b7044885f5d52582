"""Our own files: measurements, volumes and atoms come back as they were."""

import mrcfile
import numpy as np
import pytest
import scipy.io
import xarray as xr
from ase import Atoms

from datasets.errors import InputError, StoreError
from datasets.formats import (
    check_writable,
    read_atoms,
    read_measurement,
    read_volume,
    write_atoms,
    write_measurement,
    write_volume,
)
from datasets.schema import make_measurement, pixel_axis


@pytest.fixture
def volume():
    values = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
    coords = {
        axis: (axis, pixel_axis(n, 0.4), {"units": "Å"}) for axis, n in zip("zyx", values.shape, strict=True)
    }
    return xr.DataArray(values, dims=("z", "y", "x"), coords=coords)


@pytest.fixture
def atoms():
    rng = np.random.default_rng(2)
    found = Atoms("Cu3Au2", positions=rng.uniform(-9, 9, (5, 3)))
    found.info.update(name="cuau-5", generator="test", seed=3, version=1, spread=0.25)
    found.arrays["intensity"] = rng.uniform(size=5)
    return found


@pytest.mark.parametrize("suffix", [".zarr", ".npz", ".mat", ".NPZ", ".Mat"])
@pytest.mark.parametrize("notes", [None, ["one thing", "and another"]])
def test_a_measurement_comes_back_identical(tmp_path, series, suffix, notes):
    if notes:
        series.attrs["import_notes"] = notes
    path = tmp_path / f"m{suffix}"
    write_measurement(path, series)
    found = read_measurement(path)
    xr.testing.assert_identical(found, series)
    assert found["counts"].dtype == np.uint16
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".zarr", ".npz"])
@pytest.mark.parametrize("modality", ["hrtem", "4dstem"])
def test_other_modalities_come_back_identical(tmp_path, suffix, modality):
    rng = np.random.default_rng(0)
    if modality == "hrtem":
        counts = rng.poisson(2.0, (3, 4, 5)).astype(np.uint8)
        coords = {"time": [0.0, 25.0, 50.0], "y": pixel_axis(4, 0.1), "x": pixel_axis(5, 0.1)}
    else:
        counts = rng.poisson(2.0, (2, 3, 4, 5)).astype(np.uint8)
        coords = {
            **{name: [0.0, 9.0] for name in ("phi", "theta", "psi")},
            **{name: [0.0, 0.1, 0.2] for name in ("scan_y", "scan_x")},
            "ky": np.arange(4.0),
            "kx": np.arange(5.0),
        }
    beside = {"adf": rng.poisson(2.0, (2, 3)).astype(np.uint8)} if modality == "4dstem" else {}
    data = make_measurement(
        modality,
        counts,
        coords,
        dose_per_area=5.0,
        pixel_size=0.1,
        background=0.0,
        elements=["C"],
        beside=beside,
    )
    write_measurement(tmp_path / f"m{suffix}", data)
    xr.testing.assert_identical(read_measurement(tmp_path / f"m{suffix}"), data)


def test_matlab_finds_plain_numbers_and_texts(tmp_path, series):
    write_measurement(tmp_path / "m.mat", series)
    found = scipy.io.loadmat(tmp_path / "m.mat")
    assert found["counts"].shape == (4, 6, 7)
    assert found["theta"].shape == (4, 1)
    assert found["pixel_size"].item() == 0.35
    assert found["elements"].item() == "Cu,Au"


def test_a_store_that_is_there_is_not_touched(tmp_path, series):
    write_measurement(tmp_path / "m.zarr", series)
    with pytest.raises(InputError, match=r"m\.zarr: there is something of this name already"):
        write_measurement(tmp_path / "m.zarr", series * 2)
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="there is something of this name already"):
        write_measurement(tmp_path / "mine.zarr", series)
    assert (tmp_path / "mine.zarr" / "thesis.txt").read_text() == "years of work"


def test_a_damaged_store_is_named(tmp_path, series):
    write_measurement(tmp_path / "m.zarr", series)
    chunk = next(path for path in (tmp_path / "m.zarr" / "counts" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"m\.zarr: damaged: counts/"):
        read_measurement(tmp_path / "m.zarr")
    with pytest.raises(StoreError, match=r"none\.zarr: there is no complete data here"):
        read_measurement(tmp_path / "none.zarr")


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_a_newer_schema_is_refused(tmp_path, series, suffix):
    path = tmp_path / f"m{suffix}"
    write_measurement(path, series)
    arrays = dict(np.load(path)) if suffix == ".npz" else scipy.io.loadmat(path)
    arrays = {name: value for name, value in arrays.items() if not name.startswith("__")}
    arrays["schema_version"] = np.array(99)
    np.savez(path, **arrays) if suffix == ".npz" else scipy.io.savemat(path, arrays)
    with pytest.raises(
        StoreError, match="written with schema version 99, this dosebench reads up to 1; upgrade"
    ):
        read_measurement(path)


def test_a_measurement_is_only_read_and_written_where_it_can_be(tmp_path, series):
    with pytest.raises(
        InputError, match=r"a measurement is kept in a \.zarr or \.npz or \.mat file, not \.tif"
    ):
        write_measurement(tmp_path / "m.tif", series)
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist"):
        write_measurement(tmp_path / "nowhere" / "m.npz", series)
    with pytest.raises(InputError, match="the measurement to write: variable 'counts' is missing"):
        write_measurement(tmp_path / "m.npz", series.drop_vars("counts"))
    (tmp_path / "m.mrc").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a measurement is kept in a .* file, not \.mrc"):
        read_measurement(tmp_path / "m.mrc")
    np.savez(tmp_path / "m.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="no array of 3 dimensions"):
        read_measurement(tmp_path / "m.npz")


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_a_failed_write_leaves_the_old_file(tmp_path, series, suffix):
    path = tmp_path / f"m{suffix}"
    write_measurement(path, series)
    before = path.read_bytes()
    series.attrs["thing"] = {"not": object()}
    with pytest.raises(InputError, match=r"attribute 'thing' is .*, expected a number, a text or a list"):
        write_measurement(path, series)
    assert path.read_bytes() == before
    del series.attrs["thing"]
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="there is a folder of this name; give the name of a file"):
        write_measurement(path, series)
    assert list(tmp_path.iterdir()) == [path]


def test_output_names_are_checked_before_the_work(tmp_path):
    assert check_writable(tmp_path / "new" / "m.zarr", "a measurement") == ".zarr"
    assert check_writable(str(tmp_path / "A.EXTXYZ"), "a structure") == ".extxyz"
    with pytest.raises(
        InputError, match=r"a structure is kept in a \.extxyz or \.xyz file, not one with no suffix"
    ):
        check_writable(tmp_path / "answer", "a structure")
    with pytest.raises(InputError, match=r"v\.mrc: the folder .*new does not exist"):
        check_writable(tmp_path / "new" / "v.mrc", "a volume")


def test_a_measurement_is_no_volume(tmp_path, series):
    write_measurement(tmp_path / "m.zarr", series)
    with pytest.raises(InputError, match=r"m\.zarr: it holds counts, expected a volume"):
        read_volume(tmp_path / "m.zarr")
    (tmp_path / "file.zarr").write_bytes(b"x")
    with pytest.raises(InputError, match=r"file\.zarr: a \.zarr is a folder, this is a file"):
        read_measurement(tmp_path / "file.zarr")


def test_volume_in_zarr_comes_back_identical(tmp_path, volume):
    write_volume(tmp_path / "v.zarr", volume)
    xr.testing.assert_identical(read_volume(tmp_path / "v.zarr"), volume.rename("volume"))
    with pytest.raises(InputError, match="there is something of this name already"):
        write_volume(tmp_path / "v.zarr", volume)


def test_volume_in_mrc_has_voxel_size_and_origin(tmp_path, volume):
    write_volume(tmp_path / "v.mrc", volume)
    assert mrcfile.validate(tmp_path / "v.mrc")
    with mrcfile.open(tmp_path / "v.mrc") as file:
        assert file.is_volume()
        np.testing.assert_array_equal(file.data, volume)
        assert [float(file.voxel_size[axis]) for axis in "xyz"] == pytest.approx([0.4] * 3)
        assert [float(file.header.origin[axis]) for axis in "xyz"] == pytest.approx([-1.2, -0.8, -0.8])
    xr.testing.assert_allclose(read_volume(tmp_path / "v.mrc"), volume, atol=1e-6)


def test_bad_volumes(tmp_path, volume):
    with pytest.raises(InputError, match="a volume has dims"):
        write_volume(tmp_path / "v.mrc", volume.transpose("x", "y", "z"))
    with pytest.raises(InputError, match=r"coordinate .* along 'y'"):
        write_volume(tmp_path / "v.mrc", volume.drop_vars("y"))
    with pytest.raises(InputError, match="'x' must increase in even steps"):
        write_volume(tmp_path / "v.mrc", volume.assign_coords(x=volume["x"].values ** 3))
    with pytest.raises(InputError, match=r"a volume is kept in a \.zarr or \.mrc file, not \.vtk"):
        write_volume(tmp_path / "v.vtk", volume)
    (tmp_path / "v.mrc").write_bytes(b"MAP " * 300)
    with pytest.raises(InputError, match=r"v\.mrc: cannot be read as an MRC file"):
        read_volume(tmp_path / "v.mrc")


def test_extxyz_keeps_everything(tmp_path, atoms):
    write_atoms(tmp_path / "a.extxyz", atoms)
    found = read_atoms(tmp_path / "a.extxyz")
    np.testing.assert_array_equal(found.numbers, atoms.numbers)
    np.testing.assert_allclose(found.positions, atoms.positions, atol=1e-8)
    np.testing.assert_allclose(found.arrays["intensity"], atoms.arrays["intensity"], atol=1e-8)
    assert found.info == atoms.info


def test_xyz_keeps_species_and_positions(tmp_path, atoms):
    write_atoms(tmp_path / "a.xyz", atoms)
    found = read_atoms(tmp_path / "a.xyz")
    np.testing.assert_array_equal(found.numbers, atoms.numbers)
    np.testing.assert_allclose(found.positions, atoms.positions, atol=1e-12)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.xyz"]


def test_xyz_of_other_programs(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\nFePt nanoparticle, 300 K = warm\nFe 0 1.5 -2\nPt 1e0 0 0\n")
    found = read_atoms(path)
    assert found.get_chemical_symbols() == ["Fe", "Pt"]
    np.testing.assert_array_equal(found.positions, [[0, 1.5, -2], [1, 0, 0]])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("Cu 0 0 0\n", "cannot be read as atoms"),
        ("3\n\nCu 0 0 0\n", "cannot be read as atoms"),
        ("1\n\nCu 0 0\n", "cannot be read as atoms"),
        ("1\n\nQq 0 0 0\n", "cannot be read as atoms"),
        ("1\n\nCu 0 0 zero\n", "cannot be read as atoms"),
        ("1\n\nCu 0 0 nan\n", "a position is not finite"),
        ("0\n\n", "it holds no atoms"),
        ("1\n\nCu 0 0 0\n1\n\nCu 0 0 0\n", "it holds 2 structures, expected one"),
        ("2\nProperties=species:S:1:pos:R:3\nCu 0 0 0\n", "cannot be read as atoms"),
        ("1\nProperties=species:S:1:pos:R:3\nCu 0 0 x\n", "cannot be read as atoms"),
    ],
)
@pytest.mark.parametrize("suffix", [".xyz", ".extxyz"])
def test_bad_atoms(tmp_path, text, sentence, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"a\{suffix}: {sentence}") as caught:
        read_atoms(path)
    assert "\n" not in str(caught.value)


def test_bad_atom_files(tmp_path, atoms):
    with pytest.raises(InputError, match=r"a\.xyz: there is no such file"):
        read_atoms(tmp_path / "a.xyz")
    with pytest.raises(InputError, match=r"read from a \.extxyz, \.xyz, \.cif or \.mat file, not \.pdb"):
        read_atoms(tmp_path / "a.pdb")
    with pytest.raises(InputError, match=r"a structure is kept in a \.extxyz or \.xyz file, not \.cif"):
        write_atoms(tmp_path / "a.cif", atoms)
    (tmp_path / "a.xyz").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"a\.xyz: cannot be read as atoms"):
        read_atoms(tmp_path / "a.xyz")
