"""Structures from elsewhere: any file, its content in the key, and one sentence for what is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from datasets.catalog import StructureRecipe, load_dataset, load_structure
from datasets.errors import InputError
from datasets.formats import write_atoms
from datasets.simulate import simulate
from datasets.structures import make_structure

CLUSTER = Atoms("Pt3Co2", positions=[[1, 2, 3], [4, 2, 3], [1, 5, 3], [1, 2, 6.5], [4.2, 5, 6]])
CIF = """data_NaCl
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
_space_group_IT_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na 0 0 0 {share}
Cl1 Cl 0.5 0.5 0.5 1
"""


def recipe(path: Path, seed: int = 0, **parameters: object) -> StructureRecipe:
    parameters = {"path": str(path), **parameters}
    return StructureRecipe(generator="from_file", seed=seed, parameters=parameters)


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    write_atoms(tmp_path / "cluster.xyz", CLUSTER)
    return tmp_path / "cluster.xyz"


def relative(atoms: Atoms) -> np.ndarray:
    return atoms.positions - atoms.positions.mean(axis=0)


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz"])
def test_an_xyz_is_centred_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    write_atoms(tmp_path / f"cluster{suffix}", CLUSTER)
    found = make_structure(recipe(tmp_path / f"cluster{suffix}"))
    assert found.get_chemical_symbols() == CLUSTER.get_chemical_symbols()
    np.testing.assert_allclose(found.positions, relative(CLUSTER), atol=1e-7)
    assert not found.pbc.any()
    assert found.info["generator"] == "from_file"


def test_a_crystal_is_the_atoms_of_its_cells(tmp_path: Path) -> None:
    (tmp_path / "salt.cif").write_text(CIF.format(share=1))
    cell = make_structure(recipe(tmp_path / "salt.cif"))
    assert (len(cell), sorted(set(cell.symbols))) == (8, ["Cl", "Na"])
    found = make_structure(recipe(tmp_path / "salt.cif", repeat=[3, 2, 1]))
    assert len(found) == 6 * 8
    np.testing.assert_allclose(np.ptp(found.positions, axis=0), [2.5 * 5.64, 1.5 * 5.64, 2.82], atol=1e-6)
    assert not found.pbc.any()


@pytest.mark.parametrize("transposed", [False, True])
def test_a_mat_needs_its_species_and_no_names_where_shapes_tell(tmp_path: Path, transposed: bool) -> None:
    positions = CLUSTER.positions if transposed else CLUSTER.positions.T
    types = np.array([1, 1, 1, 2, 2], dtype=np.uint8)
    savemat(tmp_path / "model.mat", {"atompos": positions, "atomtype": types, "note": "Å"})
    found = make_structure(recipe(tmp_path / "model.mat", elements=["Pt", "Co"]))
    assert found.get_chemical_formula() == CLUSTER.get_chemical_formula()
    np.testing.assert_allclose(found.positions, relative(CLUSTER), atol=1e-12)


def test_a_mat_of_version_73_is_read_with_matlabs_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.mat", "w") as file:
        file["model"] = CLUSTER.positions  # what MATLAB calls 3 × N
    found = make_structure(recipe(tmp_path / "model.mat", elements=["Pt"]))
    np.testing.assert_allclose(found.positions, relative(CLUSTER), atol=1e-12)
    assert set(found.symbols) == {"Pt"}


def test_types_in_a_file_of_their_own_and_pixels(tmp_path: Path) -> None:
    """As a published ground truth is: coordinates and types in two files, here also in pixels of 0.5 Å."""
    savemat(tmp_path / "coordinates.mat", {"a": CLUSTER.positions.T / 0.5, "b": np.ones((3, 2))})
    savemat(tmp_path / "types.mat", {"t": [[1, 1, 1, 2, 2]], "amplitude": np.ones((1, 5))})
    made = recipe(
        tmp_path / "coordinates.mat",
        types_path=str(tmp_path / "types.mat"),
        coordinates="a",
        types="t",
        elements=["Pt", "Co"],
        scale=0.5,
    )
    np.testing.assert_allclose(make_structure(made).positions, relative(CLUSTER), atol=1e-12)
    savemat(tmp_path / "types.mat", {"t": [[2, 1, 1, 1, 2]], "amplitude": np.ones((1, 5))})
    assert (
        recipe(**{**made.parameters, "path": tmp_path / "coordinates.mat", "sha256": None}).key()
        != made.key()
    )


@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), seed=st.integers(0, 1000))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_turn_is_that_of_a_tilt_and_a_random_one_keeps_distances(
    cluster: Path, angles: tuple[float, float, float], seed: int
) -> None:
    turned = make_structure(recipe(cluster, rotation=list(angles)))
    expected = Rotation.from_euler("ZYX", angles, degrees=True).apply(relative(CLUSTER))
    np.testing.assert_allclose(turned.positions, expected, atol=1e-6)
    random = make_structure(recipe(cluster, seed, rotation="random"))
    np.testing.assert_allclose(random.get_all_distances(), CLUSTER.get_all_distances(), atol=1e-6)
    again, other = (make_structure(recipe(cluster, s, rotation="random")) for s in (seed, seed + 1))
    np.testing.assert_array_equal(random.positions, again.positions)
    assert np.abs(random.positions - other.positions).max() > 1e-3


def test_the_origin_is_the_mean_the_middle_or_the_files_own(cluster: Path) -> None:
    box = make_structure(recipe(cluster, centre="box")).positions
    np.testing.assert_allclose(box.min(axis=0), -box.max(axis=0), atol=1e-7)
    kept = make_structure(recipe(cluster, centre="keep")).positions
    np.testing.assert_allclose(kept, CLUSTER.positions, atol=1e-7)


def test_the_key_follows_the_content_and_not_the_place(cluster: Path, tmp_path: Path) -> None:
    key = recipe(cluster).key()
    stated = hashlib.sha256(cluster.read_bytes()).hexdigest()
    assert recipe(cluster).parameters["sha256"] == stated
    assert recipe(cluster, sha256=stated).key() == key
    elsewhere = tmp_path / "elsewhere.xyz"
    elsewhere.write_bytes(cluster.read_bytes())
    assert recipe(elsewhere).key() == key
    assert recipe(cluster, scale=2).key() != key
    old = recipe(cluster)
    cluster.write_text(cluster.read_text().replace("Co", "Ni"))
    assert recipe(cluster).key() != key
    with pytest.raises(InputError, match=r"cluster\.xyz: its SHA-256 is .* not .* changed since"):
        make_structure(old)
    with pytest.raises(ValueError, match=r"cluster\.xyz: its SHA-256 is"):
        recipe(cluster, sha256=stated)


def test_a_card_names_its_file_from_where_it_lies(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {
        "name": "mine",
        "title": "Five atoms",
        "reference": "by hand",
        "recipe": {"generator": "from_file", "parameters": {"path": "cluster.xyz"}},
        "cost": "none",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    found = load_structure("../mine.yaml[seed=4]").recipe
    assert found.parameters["path"] == str(cluster)
    assert found.key() == recipe(cluster, 4).key()
    cluster.unlink()
    with pytest.raises(InputError, match=r"mine\.yaml: .*cluster\.xyz: there is no such file"):
        load_structure("../mine.yaml")


def test_a_file_becomes_a_dataset_with_one_card(tmp_path: Path) -> None:
    crystal = bulk("Pt", cubic=True).repeat(2)
    write_atoms(tmp_path / "mine.extxyz", crystal)
    card = {
        "name": "mine",
        "title": "Pt of 32 atoms",
        "reference": "made for the tests",
        "structure": {"generator": "from_file", "parameters": {"path": "mine.extxyz"}},
        "imaging": {
            "engine": "linear",
            "energy_eV": 300e3,
            "semiangle_mrad": 21,
            "detector_inner_mrad": 40,
            "detector_outer_mrad": 84,
            "potential_sampling": 0.078,
            "slice_thickness": 2,
            "phonons": 1,
            "phonon_sigma": 0.085,
            "pixel_size": 0.4,
            "n_pixels": 32,
            "tilts": {"start": -60, "stop": 60, "n": 3},
        },
        "background": 0,
        "doses": [1e4],
        "cost": "well under a second",
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(card))
    loaded = load_dataset(str(tmp_path / "mine.yaml"))
    store = simulate(loaded, root=str(tmp_path / "data"), progress=False)
    np.testing.assert_allclose(store.truth().positions, relative(crystal), atol=1e-7)
    measurement = store.measurement(1e4, 0)
    assert measurement["counts"].shape == (3, 32, 32)
    assert measurement.attrs["elements"] == ["Pt"]
    assert int(measurement["counts"].sum()) > 1000
    write_atoms(tmp_path / "mine.extxyz", bulk("Pt", cubic=True))
    changed = load_dataset(str(tmp_path / "mine.yaml"))
    assert changed.images_key() != loaded.images_key()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.xyz", "2\n\nCu 0 0 0\nCu 0 0 0.3\n", r"a\.xyz: atoms 1 and 2 are 0\.3 Å apart, expected 0\.5"),
        ("a.xyz", "1\n\nQq 0 0 0\n", r"a\.xyz: cannot be read as atoms \(unknown element 'Qq'\)"),
        ("a.xyz", "2\n\nCu 0 0 0\nCu 0 nan 2\n", r"a\.xyz: a position is not finite \(atom 2\)"),
        ("a.xyz", "1\n\nX 0 0 0\n", r"a\.xyz: atom 1 is of no element"),
        ("a.cif", CIF.format(share=0.5), r"a\.cif: field _atom_site_occupancy: site 0 holds 0\.5 Na"),
        ("a.cif", "data_x\n", r"a\.cif: "),
        ("a.pdb", "ATOM\n", r"a\.pdb: a structure is read from"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        make_structure(recipe(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        ({"p": np.eye(3, 5)}, {}, "say in `elements`"),
        ({"p": np.eye(3, 5)}, {"elements": ["Xy"]}, "elements: unknown element 'Xy'"),
        ({"p": np.eye(4)}, {"elements": ["Si"]}, r"no 3 × N .* its arrays are: p \(4, 4\)"),
        ({"p": np.eye(3, 5), "q": np.eye(5, 3)}, {"elements": ["Si"]}, "say in `coordinates` .* p, q"),
        ({"p": np.eye(3, 5)}, {"elements": ["Si"], "coordinates": "r"}, "there is no array 'r'"),
        ({"p": np.eye(4)}, {"elements": ["Si"], "coordinates": "p"}, r"'p' has shape \(4, 4\), expected a 3"),
        ({"p": np.eye(3, 5)}, {"elements": ["Si", "O"]}, "there is no list of 5 whole numbers"),
        ({"p": np.full((3, 5), np.nan)}, {"elements": ["Si"]}, r"variable 'p': a coordinate is not finite"),
        (
            {"p": np.eye(3, 5), "t": [1, 2, 3, 1, 1]},
            {"elements": ["Si", "O"]},
            "variable 't': the type of atom 3 is 3, expected a whole number from 1 to 2",
        ),
    ],
)
def test_a_bad_mat_is_one_sentence(
    tmp_path: Path, arrays: dict[str, object], options: dict[str, object], sentence: str
) -> None:
    savemat(tmp_path / "a.mat", arrays)
    with pytest.raises(InputError, match=rf"a\.mat: .*{sentence}") as caught:
        make_structure(recipe(tmp_path / "a.mat", **options))
    assert "\n" not in str(caught.value)


def test_wrong_parameters_are_named(cluster: Path) -> None:
    with pytest.raises(InputError, match=r"elements are said of \.mat files only"):
        make_structure(recipe(cluster, elements=["Pt"]))
    with pytest.raises(InputError, match="repeat: it has no unit cell"):
        make_structure(recipe(cluster, repeat=[2, 2, 2]))
    with pytest.raises(InputError, match="'repeat': there must be at least one cell"):
        make_structure(recipe(cluster, repeat=[0, 1, 1]))
    with pytest.raises(InputError, match="'path' is missing"):
        make_structure(StructureRecipe(generator="from_file"))
