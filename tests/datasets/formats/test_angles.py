"""Angle files, and the two conventions held against images of atoms."""

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from datasets.errors import InputError
from datasets.formats import import_measurement
from datasets.formats.angles import read_angles, to_active
from datasets.schema import EULER_SEQUENCE, pixel_axis, rotations

PIXEL_SIZE = 0.4
N = 24
ATOMS = np.random.default_rng(3).uniform(-2.5, 2.5, (9, 3))


def gaussian_image(positions):
    """The projection along z of Gaussian atoms at `positions` [Å], an image `[y, x]`."""
    axis = pixel_axis(N, PIXEL_SIZE)
    along = np.exp(-0.5 * ((axis[:, np.newaxis, np.newaxis] - positions) / 0.5) ** 2)
    return 100 * along[..., 1] @ along[..., 0].T


def elementary(axis, degrees):
    """The right-handed rotation matrix about one axis, written out."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrices = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(matrices[axis])


def import_images(tmp_path, images, angles, convention):
    np.savetxt(tmp_path / "angles.txt", angles)
    scipy.io.savemat(tmp_path / "stack.mat", {"stack": np.stack(images, axis=-1)})
    return import_measurement(
        tmp_path / "stack.mat",
        axes="y,x,tilt",
        pixel_size=PIXEL_SIZE,
        angles=tmp_path / "angles.txt",
        angle_convention=convention,
        dose=1.0,
        background=0.0,
        elements="Pt",
    )


def assert_rotations_project_atoms(data):
    for image, rotation in zip(data["counts"].values, rotations(data), strict=True):
        np.testing.assert_allclose(image, gaussian_image(rotation.apply(ATOMS)), atol=1e-9)


def test_passive_single_axis_angles_are_those_of_the_published_codes(tmp_path):
    theta = np.array([-62.0, -10.0, 0.0, 35.0])
    images = []
    for angle in np.radians(theta):
        x, y, z = ATOMS.T
        images.append(gaussian_image(np.stack([x * np.cos(angle) - z * np.sin(angle), y, z], axis=-1)))
    data = import_images(tmp_path, images, theta, "passive")
    np.testing.assert_array_equal(data["theta"], -theta)
    assert data.attrs["import_notes"] == ["passive angles were turned into active ones"]
    assert_rotations_project_atoms(data)


def test_active_single_axis_angles_are_the_frame_of_the_schema(tmp_path):
    theta = np.array([-62.0, -10.0, 0.0, 35.0])
    images = []
    for angle in np.radians(theta):
        x, y, z = ATOMS.T
        images.append(gaussian_image(np.stack([x * np.cos(angle) + z * np.sin(angle), y, z], axis=-1)))
    data = import_images(tmp_path, images, theta, "active")
    np.testing.assert_array_equal(data["theta"], theta)
    assert_rotations_project_atoms(data)


@pytest.mark.parametrize("convention", ["active", "passive"])
def test_three_angles_project_atoms_where_the_images_have_them(tmp_path, convention):
    angles = np.array([[3.0, -60.0, 5.0], [90.0, 20.0, -40.0], [-2.0, 71.0, 1.5]])
    images = []
    for phi, theta, psi in angles:
        matrix = elementary("z", phi) @ elementary("y", theta) @ elementary("x", psi)
        images.append(gaussian_image(ATOMS @ (matrix.T if convention == "active" else matrix)))
    assert_rotations_project_atoms(import_images(tmp_path, images, angles, convention))


degrees = st.floats(-180, 180, allow_nan=False)


@given(
    st.lists(st.tuples(degrees, st.sampled_from([-90.0, 90.0]) | degrees, degrees), min_size=1, max_size=4)
)
def test_passive_is_the_inverse_of_active_for_every_triple(triples):
    angles = np.array(triples)
    passive = Rotation.from_euler(EULER_SEQUENCE, angles, degrees=True)
    active = Rotation.from_euler(EULER_SEQUENCE, to_active(angles, "passive"), degrees=True)
    np.testing.assert_allclose((active * passive).magnitude(), 0, atol=1e-6)
    np.testing.assert_array_equal(to_active(angles, "active"), angles)


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".dat", ".rawtlt", ".tlt"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_column_is_theta(tmp_path, suffix, ending):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(ending.join(["# tilt angles", " -60.00", "", "  1.5e1", "60"]).encode())
    np.testing.assert_array_equal(read_angles(path), [[0, -60, 0], [0, 15, 0], [0, 60, 0]])


@pytest.mark.parametrize("separator", [",", "; ", "\t", "   "])
def test_three_columns_are_phi_theta_psi_unless_named(tmp_path, separator):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(separator.join(row) for row in (["1", "2", "3"], ["4", "5", "6"])))
    np.testing.assert_array_equal(read_angles(path), [[1, 2, 3], [4, 5, 6]])
    path.write_text(
        "\ufeff" + separator.join(["Theta", "phi", "psi"]) + "\n" + separator.join("123"), "utf-8"
    )
    np.testing.assert_array_equal(read_angles(path), [[2, 1, 3]])
    path.write_text(separator.join("abc") + "\n" + separator.join("123"))
    with pytest.raises(InputError, match="columns are called a, b, c, expected phi, theta, psi"):
        read_angles(path)


def test_angles_in_npy_and_mat(tmp_path):
    theta = np.array([-60.0, -20.0, 20.0, 60.0])
    euler = np.stack([theta + 1, theta, theta - 1], axis=-1)
    np.save(tmp_path / "theta.npy", theta)
    np.save(tmp_path / "euler.npy", euler.astype(">f4"))
    scipy.io.savemat(tmp_path / "row.mat", {"theta": theta[np.newaxis]})
    scipy.io.savemat(tmp_path / "euler.mat", {"euler": euler, "name": "series 1"})
    for name in ("theta.npy", "row.mat"):
        np.testing.assert_array_equal(read_angles(tmp_path / name)[:, 1], theta)
    for name in ("euler.npy", "euler.mat", "euler.mat:euler"):
        np.testing.assert_array_equal(read_angles(tmp_path / name), euler)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "there are no angles in it"),
        ("theta\n", "there are no angles in it"),
        ("1\n2\nx\n", r"line 3 is 'x', expected 1 angle\(s\) in degrees"),
        ("1 2 3\n4 5\n", r"line 2 is '4 5', expected 3 angle\(s\)"),
        ("1 2\n3 4\n", r"shape \(2, 2\), expected one row per projection with one column \(theta\) or three"),
        ("1\nnan\n", "an angle is not finite, in row 2"),
        ("1\n\ninf\n", "an angle is not finite, in row 2"),
    ],
)
def test_bad_angle_texts(tmp_path, text, sentence):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"a\.txt: .*{sentence}"):
        read_angles(path)


def test_bad_angle_files(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: there is no such file"):
        read_angles(tmp_path / "none.txt")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"angles are read from \.txt, .*, not '\.xlsx'"):
        read_angles(tmp_path / "a.xlsx")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="this is not a text file"):
        read_angles(tmp_path / "a.txt")
    np.save(tmp_path / "a.npy", np.zeros((3, 5)))
    with pytest.raises(InputError, match=r"angles have shape \(3, 5\)"):
        read_angles(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.array(["a"]))
    with pytest.raises(InputError, match="angles must be real numbers"):
        read_angles(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(b"0.0\n1.0\n")
    with pytest.raises(InputError, match=r"a\.npy: cannot be read as an \.npy file"):
        read_angles(tmp_path / "a.npy")


def test_angles_beside_the_patterns_of_the_same_file(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["entry/data"] = np.zeros((2, 3, 4))
        file["entry/angles"] = [-30.0, 30.0]
    np.savez(tmp_path / "s.npz", data=np.zeros((2, 3, 4)), angles=[-30.0, 30.0], scan=[1.0])
    wanted = [[0, -30, 0], [0, 30, 0]]
    for name in ("s.h5", "s.h5:/entry/angles", "s.npz:angles"):
        np.testing.assert_array_equal(read_angles(tmp_path / name), wanted)
    with pytest.raises(InputError, match=r"say which array to import, e\.g\. .*s\.npz:angles; it holds"):
        read_angles(tmp_path / "s.npz")
    with pytest.raises(InputError, match="there is no array 'nothing' in it; its arrays are: "):
        read_angles(tmp_path / "s.h5:nothing")
