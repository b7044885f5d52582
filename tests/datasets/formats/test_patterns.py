"""Diffraction patterns from elsewhere: their beam, how they lie to the scan, and what they cannot be."""

import h5py
import numpy as np
import pytest
import scipy.io

from datasets.catalog.acquisition import wavelength
from datasets.errors import InputError
from datasets.formats import import_measurement, read_measurement, write_measurement
from datasets.formats.pattern_checks import find_centre
from datasets.formats.patterns import Layout, arrange_patterns

STEP, N_Y, N_X = 0.04, 33, 36
SEMIANGLE = 1e3 * 9 * STEP * wavelength(300e3)
"""A disc of nine pixels [mrad]."""
POSITIONS = (3, 4)
DOSE = 2000.0


def series(seed=0, centre=(16.3, 17.6)):
    """Two tilts of patterns (tilt, scan_y, scan_x, ky, kx): a disc, a mark that no flip or turn leaves alone,
    and a different brightness at each position.
    """
    rows, columns = np.indices((N_Y, N_X))
    away = np.hypot(rows - centre[0], columns - centre[1])
    mark = np.exp(-((rows - centre[0] - 12) ** 2 + (columns - centre[1] - 4) ** 2))
    disc = np.clip(9.5 - away, 0, 1) + 0.5 * mark
    brightness = 1 + 0.02 * np.arange(12).reshape(POSITIONS)
    expected = np.stack([tilt * brightness[..., None, None] * disc for tilt in (1.0, 1.1)])
    return (
        np.random.default_rng(seed)
        .poisson(DOSE * 0.25 / expected.sum((-1, -2)).mean() * expected)
        .astype(np.uint16)
    )


@pytest.fixture
def known(tmp_path):
    np.savetxt(tmp_path / "angles.txt", [-30.0, 30.0])
    return {
        "modality": "4dstem",
        "axes": "tilt,scan_y,scan_x,ky,kx",
        "angles": tmp_path / "angles.txt",
        "angle_convention": "active",
        "pixel_size": 0.5,
        "reciprocal_pixel_size": STEP,
        "dose": DOSE,
        "background": 0.0,
        "elements": ["Cu", "Au"],
        "energy_eV": 300e3,
        "semiangle_mrad": SEMIANGLE,
        "defocus": -200.0,
    }


@pytest.fixture
def taken(tmp_path, known):
    """The import of an array, with some options changed."""

    def take(values, **changed):
        np.save(tmp_path / "s.npy", values)
        return import_measurement(tmp_path / "s.npy", **(known | changed))

    return take


def same(found, expected):
    """The same electrons at the same places of the scan and of the detector, in whatever order."""
    for name in ("ky", "kx", "scan_y", "scan_x"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)
    np.testing.assert_array_equal(found["counts"], expected["counts"])


def test_the_beam_is_where_the_disc_has_its_middle(taken):
    data = taken(series())
    assert np.interp(0, data["ky"], np.arange(N_Y)) == pytest.approx(16.3, abs=0.1)
    assert np.interp(0, data["kx"], np.arange(N_X)) == pytest.approx(17.6, abs=0.1)
    assert "the beam is at row 16.3" in data.attrs["import_notes"][0]
    same(taken(series(), centre="mass"), data)


def test_the_centre_may_be_said(taken):
    data = taken(series(centre=(16.0, 18.0)), centre="middle")
    assert (data["ky"][16], data["kx"][18]) == (0, 0)
    data = taken(series(), centre="16.3, 17.6")
    assert data["ky"].values[0] == pytest.approx(-16.3 * STEP)


def test_a_wandering_beam_is_held_still(taken):
    still = series()
    moved = still.copy()
    moved[1] = np.roll(still[1], (2, -3), axis=(-2, -1))
    data = taken(moved)
    same(data, taken(still))
    assert "up to 3 pixels" in data.attrs["import_notes"][0]


def test_noise_moves_no_patterns(taken):
    """A hundred electrons a tilt say where the beam is to half a pixel."""
    few = np.random.default_rng(1).binomial(series(), 0.017).astype(np.uint16)
    data = taken(few, dose=0.017 * DOSE)
    np.testing.assert_array_equal(data["counts"], few.reshape(data["counts"].shape))


@pytest.mark.parametrize(
    "axes", ["ky", "kx", "scan_y", "scan_x", "ky,kx", "scan_x,ky", "scan_y,scan_x,ky,kx"]
)
def test_a_flip_is_undone(taken, axes):
    straight = series()
    order = ("tilt", "scan_y", "scan_x", "ky", "kx")
    stored = np.flip(straight, [order.index(name) for name in axes.split(",")])
    n_y, n_x = (n - 1 - c if f"k{name}" in axes else c for n, c, name in ((N_Y, 16.3, "y"), (N_X, 17.6, "x")))
    data = taken(stored, flip=axes, centre=f"{n_y},{n_x}")
    same(data, taken(straight, centre="16.3,17.6"))
    assert f"{axes.replace(',', ', ')}: the other way round" in data.attrs["import_notes"]
    measured = taken(stored, flip=axes)
    np.testing.assert_allclose(measured["ky"], data["ky"], atol=0.05 * STEP)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact_and_undone_by_their_opposite(taken, quarters):
    """A quarter from kx towards ky brings what was at +kx to +ky."""
    straight = taken(series(), centre="16.3,17.6")
    turned = taken(series(), centre="16.3,17.6", turn=90.0 * quarters)
    back = -90.0 * quarters
    ky, kx = turned["ky"].values, turned["kx"].values
    centre = f"{-ky[0] / STEP},{-kx[0] / STEP}"
    again = taken(turned["counts"].values.reshape(2, *POSITIONS, len(ky), len(kx)), centre=centre, turn=back)
    same(again, straight)
    for k, other in ((3.0, 7.0), (-3.0, 7.0)):
        at = {"ky": other * STEP, "kx": k * STEP}
        angle = np.radians(90 * quarters)
        to = {
            "kx": np.cos(angle) * at["kx"] - np.sin(angle) * at["ky"],
            "ky": np.sin(angle) * at["kx"] + np.cos(angle) * at["ky"],
        }
        before = straight["counts"].sel(at, method="nearest")
        np.testing.assert_array_equal(turned["counts"].sel(to, method="nearest"), before)


@pytest.mark.parametrize("turn", [17.0, 90.001, -62.0])
def test_other_turns_keep_electrons_and_carry_the_mark_along(taken, turn):
    straight, turned = taken(series()), taken(series(), turn=turn)
    assert float(turned["counts"].sum()) == pytest.approx(float(straight["counts"].sum()), rel=1e-4)

    def mark(data):
        """Where the disc has its mark [deg]."""
        summed = data["counts"].sum(["tilt", "scan"])
        radius = np.hypot(summed["ky"], summed["kx"])
        odd = summed.where(radius > 11 * STEP, 0.0)
        return np.degrees(np.arctan2(float((odd * odd["ky"]).sum()), float((odd * odd["kx"]).sum())))

    assert (mark(turned) - mark(straight) - turn + 180) % 360 - 180 == pytest.approx(0, abs=1)


def test_turned_by_almost_nothing_is_what_it_was():
    counts = series().reshape(2, 12, N_Y, N_X)
    attributes = {"energy_eV": 300e3, "semiangle_mrad": SEMIANGLE, "dose_per_area": DOSE, "pixel_size": 0.5}
    beam = attributes | {"background": 0.0}
    turned, ky, _ = arrange_patterns(
        "s", counts, POSITIONS, Layout("16.3,17.6", (), 1e-7), (STEP, STEP), beam, None, lambda note: None
    )
    np.testing.assert_allclose(turned, counts, rtol=1e-6)
    assert ky[0] == pytest.approx(-16.3 * STEP)


def test_a_disc_is_centred_though_its_patterns_are_cut():
    rows, columns = np.indices((20, 24))
    pattern = (np.hypot(rows - 9.5, columns - 12.25) < 6).astype(float)
    assert find_centre(pattern, 6.0) == pytest.approx((9.5, 12.25), abs=0.2)


@pytest.mark.parametrize("save", ["npy", "npz", "h5", "emd", "mat"])
def test_the_same_scan_from_any_file(tmp_path, known, taken, save):
    values, path = series(), tmp_path / f"d.{save}"
    if save == "npy":
        np.save(path, values)
    elif save == "npz":
        np.savez(path, patterns=values, theta=[-30.0, 30.0])
    elif save == "mat":
        scipy.io.savemat(path, {"patterns": values})
    else:
        with h5py.File(path, "w") as file:
            file["datacube_root/datacube/data"] = values
    data = import_measurement(path, **known)
    same(data, taken(values))
    for suffix in (".zarr", ".npz", ".mat"):
        write_measurement(tmp_path / f"m{suffix}", data)
        same(read_measurement(tmp_path / f"m{suffix}"), data)


def test_a_file_that_names_everything_needs_no_option(tmp_path, taken):
    data = taken(series())
    named = {name: data[name].values for name in ("counts", "theta", "scan_y", "scan_x", "ky", "kx")}
    optics = {name: data.attrs[name] for name in ("energy_eV", "semiangle_mrad", "defocus")}
    np.savez(
        tmp_path / "d.npz",
        **named,
        **optics,
        pixel_size=0.5,
        dose_per_area=DOSE,
        background=0.0,
        elements="Cu,Au",
    )
    found = import_measurement(tmp_path / "d.npz", modality="4dstem")
    same(found, data)
    assert "import_notes" not in found.attrs
    flipped = import_measurement(tmp_path / "d.npz", modality="4dstem", flip="kx")
    np.testing.assert_array_equal(flipped["counts"], data["counts"][..., ::-1])
    np.testing.assert_allclose(flipped["kx"], -data["kx"].values[::-1], atol=1e-9)
    with pytest.raises(InputError, match="its positions are a list, so turn round its scan_y"):
        import_measurement(tmp_path / "d.npz", modality="4dstem", flip="scan_y")


def test_a_scan_of_two_axes_may_be_called_counts(tmp_path, taken):
    np.savez(
        tmp_path / "d.npz",
        counts=series(),
        theta=[-30.0, 30.0],
        pixel_size=0.5,
        reciprocal_pixel_size=STEP,
        dose_per_area=DOSE,
        background=0,
        elements=["Cu", "Au"],
        energy_eV=300e3,
        semiangle_mrad=SEMIANGLE,
        defocus=-200,
    )
    same(import_measurement(tmp_path / "d.npz", modality="4dstem"), taken(series()))


BAD = [
    (
        {"reciprocal_pixel_size": 4.0},
        r"disc of radius 0\.09 pixels of 4 1/Å.*--reciprocal-pixel-size \[1/Å\]",
    ),
    ({"reciprocal_pixel_size": 0.1}, r"--reciprocal-pixel-size"),
    ({"energy_eV": 300.0}, r"--energy is in eV, so 300 is too little; 300 keV are 300e3"),
    ({"semiangle_mrad": 1e-3 * SEMIANGLE}, r"--semiangle \[mrad\]"),
    (
        {"semiangle_mrad": 2 * SEMIANGLE},
        r"radius of 9\.\d+ pixels, that of the stated beam 18; check --semiangle",
    ),
    ({"semiangle_mrad": 0.5 * SEMIANGLE}, r"radius of (8\.9|9\.0)\d* pixels, that of the stated beam 4\.5"),
    (
        {"pixel_size": 0.05},
        r"5\d\d(\.\d)? electrons on average.*are 5 for a probe step of 0\.05 Å; check --dose",
    ),
    ({"dose": 20.0}, r"check --dose \(the patterns say (1|2)\.\d+e\+03\), --pixel-size \[Å\], --gain"),
    ({"gain": 100.0}, r"check --dose"),
    ({"axes": "tilt,ky,kx,scan_y,scan_x"}, r"3 × 4 pixels; check .* the order of --axes"),
    ({"axes": "tilt,y,x,ky,kx"}, r"or scan_y, scan_x in place of scan"),
    ({"modality": "adf"}, r"of diffraction patterns say --modality 4dstem"),
    ({"modality": "adf", "axes": None}, r"expected 3 .*; of diffraction patterns say --modality 4dstem"),
    ({"centre": "10,10"}, r"centre of mass of the bright disc is row 16\.\d, .* give --centre mass"),
    ({"centre": "90,90"}, r"there is no pixel around row 90\.0, column 90\.0 of its patterns"),
    ({"centre": "left"}, r"--centre is mass, middle or ROW,COLUMN in pixels .* it is 'left'"),
    ({"flip": "y"}, r"--flip names axes among ky, kx, scan_y, scan_x, not 'y'"),
    ({"flip": "ky,ky"}, r"--flip names an axis twice: ky,ky"),
    ({"turn": float("nan")}, r"--rotate-detector must be finite"),
    ({"semiangle_mrad": None}, r"give also --semiangle \[mrad\]$"),
    (
        {"defocus": None, "energy_eV": None},
        r"give also --energy \[eV\]; --defocus \[Å\], underfocus positive",
    ),
]


@pytest.mark.parametrize(("changed", "sentence"), BAD)
def test_what_cannot_be_is_one_sentence(taken, changed, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        taken(series(), **changed)
    assert "\n" not in str(caught.value)


def test_patterns_that_are_no_counts(taken):
    values = series().astype(np.float32)
    with pytest.raises(InputError, match=r"values are negative .* move the zero with --offset -5"):
        taken(values - 5)
    values[0, 0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="1 of its values are not finite; replace dead pixels"):
        taken(values)
    with pytest.raises(InputError, match="check --dose"):
        taken(np.zeros_like(values).astype(np.uint16))


def test_fractions_of_electrons_are_taken_as_they_are(taken):
    data = taken(series() * np.float32(1.5), gain=1.5)
    np.testing.assert_allclose(data["counts"], taken(series())["counts"])


def test_noise_in_place_of_patterns(taken):
    noise = np.random.default_rng(0).poisson(0.42, (2, *POSITIONS, N_Y, N_X)).astype(np.uint16)
    with pytest.raises(InputError, match=r"no bright disc of radius 9 pixels around row .* order of --axes"):
        taken(noise)


def test_an_array_larger_than_memory_is_not_begun(tmp_path, known):
    with open(tmp_path / "s.npy", "wb") as file:
        header = {"descr": "<u2", "fortran_order": False, "shape": (60, 1000, 1000, 512, 512)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(
        InputError, match=r"60 × 1000 × 1000 × 512 × 512 takes 5\.86e\+04 GiB of memory to import"
    ):
        import_measurement(tmp_path / "s.npy", **known)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("data", (60, 1000, 1000, 512, 512), dtype="u2", chunks=(1, 1, 1, 512, 512))
    with pytest.raises(InputError, match="bin the patterns, or leave out tilts"):
        import_measurement(tmp_path / "s.h5", **known)


def test_images_have_no_patterns_to_turn(tmp_path):
    np.save(tmp_path / "s.npy", np.ones((2, 4, 4)))
    with pytest.raises(InputError, match="for diffraction patterns, not adf"):
        import_measurement(tmp_path / "s.npy", flip="ky")
