"""Everything wrong with a file or an option is one sentence, and everything missing is asked for at once."""

import h5py
import numpy as np
import pytest
import scipy.io

from datasets.errors import InputError
from datasets.formats import import_measurement


@pytest.fixture
def stack(tmp_path, series):
    """Save an array as stack.npy and give its path."""

    def save(values=series["counts"].values):
        np.save(tmp_path / "stack.npy", values)
        return str(tmp_path / "stack.npy")

    return save


def assert_refused(sentence, file, **options):
    with pytest.raises(InputError, match=sentence) as caught:
        import_measurement(file, **options)
    assert "\n" not in str(caught.value)


def test_all_that_is_missing_is_asked_for_in_one_sentence(stack):
    assert_refused(
        r"stack\.npy: say which axis is which with --axes, e\.g\. --axes y,x,tilt "
        r"\(the array's shape is \(4, 6, 7\)\); give also --pixel-size \[Å\]; --dose \[e⁻/Å² per image\]; "
        r"--background \[e⁻/pixel\]; --elements, such as Cu,Au; --angles FILE; "
        r"--angle-convention active\|passive$",
        stack(),
    )


@pytest.mark.parametrize(
    ("left_out", "asked"),
    [
        (["pixel_size"], r"--pixel-size \[Å\]"),
        (["angle_convention"], r"--angle-convention active\|passive"),
        (["angles"], "--angles FILE"),
        (["dose"], r"--dose \[e⁻/Å² per image\]"),
        (["background"], r"--background \[e⁻/pixel\]"),
        (["elements"], "--elements, such as Cu,Au"),
        (["dose", "elements"], r"--dose \[e⁻/Å² per image\]; --elements, such as Cu,Au"),
    ],
)
def test_only_what_is_missing_is_asked_for(stack, options, left_out, asked):
    given = {name: value for name, value in options.items() if name not in left_out}
    assert_refused(
        rf"stack\.npy: the file does not say it all, give also {asked}$", stack(), axes="tilt,y,x", **given
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"axes": "tilt,y"}, "--axes must name each of tilt, y, x once, it is 'tilt,y'"),
        ({"axes": "tilt,y,y"}, "--axes must name each of tilt, y, x once"),
        ({"axes": "tilt,row,column"}, "--axes must name each of tilt, y, x once"),
        ({"modality": "ADF"}, "unknown modality 'ADF'"),
        ({"pixel_size": 0.0}, "--pixel-size must be positive, it is 0"),
        ({"pixel_size": float("nan")}, "--pixel-size must be positive, it is nan"),
        ({"dose": -1.0}, "--dose must be positive, it is -1"),
        ({"background": -0.1}, "--background must not be negative, it is -0.1"),
        ({"gain": 0.0}, "--gain must be positive, it is 0"),
        ({"offset": float("inf")}, "--offset must be finite, it is inf"),
        ({"energy_eV": -2e5}, "--energy must be positive"),
        ({"angle_convention": "left"}, "--angle-convention must be active or passive, it is 'left'"),
        ({"elements": "Cu,Xx"}, "--elements: unknown element 'Xx'"),
        ({"elements": []}, "--elements: 'elements' must be a non-empty list"),
        ({"elements": ["Cu", "Cu"]}, "names a species twice"),
        ({"variable": "stack"}, r"a \.npy file holds one array, so --variable 'stack' has no meaning"),
    ],
)
def test_bad_options(stack, options, change, sentence):
    assert_refused(sentence, stack(), **({"axes": "tilt,y,x"} | options | change))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.zeros((4, 6)), r"the array has 2 dimensions, shape \(4, 6\); expected 3 \(tilt, y, x\)"),
        (np.zeros((1, 4, 6, 7)), r"the array has 4 dimensions, shape \(1, 4, 6, 7\); expected 3"),
        (np.zeros((4, 0, 7)), r"the array is empty, its shape is \(4, 0, 7\)"),
        (np.full((4, 6, 7), np.nan), "168 of its values are not finite; replace dead pixels"),
        (np.zeros((4, 6, 7), complex), r"the array is complex \(complex128\)"),
        (np.full((4, 6, 7), "a"), "the array holds <U1, expected numbers"),
    ],
)
def test_bad_arrays(stack, options, values, sentence):
    assert_refused(rf"stack\.npy: {sentence}", stack(values), axes="tilt,y,x", **options)


def test_counts_that_do_not_fit_the_angles(stack, options, series):
    assert_refused(
        r"angles\.txt: 4 angles for the 3 projections of .*stack\.npy",
        stack(series["counts"].values[:3]),
        axes="tilt,y,x",
        **options,
    )


def test_negative_counts_say_what_to_do_and_doing_it_works(stack, options, series):
    values = series["counts"].values.astype(np.float32) * 2
    values[1, 2, 3] = -12.345
    path = stack(values)
    assert_refused(
        r"stack\.npy: 1 values are negative \(the least is -12\.345\), which no electron count is; "
        r"move the zero with --offset -12\.4 and add 12\.4 to --background",
        path,
        axes="tilt,y,x",
        **options,
    )
    assert_refused(
        r"--offset -12\.4 and add 6\.2 to --background", path, axes="tilt,y,x", gain=2.0, **options
    )
    moved = options | {"background": options["background"] + 6.2}
    data = import_measurement(path, axes="tilt,y,x", gain=2.0, offset=-12.4, **moved)
    kept = values >= 0
    np.testing.assert_allclose(data["counts"].values[kept], series["counts"].values[kept] + 6.2, rtol=1e-6)
    assert data.attrs["import_notes"] == ["counts = (stored value - -12.4) / 2"]


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".mat", ".mrc", ".st", ".h5", ".emd", ".hspy"])
def test_files_that_are_missing_empty_or_noise(tmp_path, options, suffix):
    path = tmp_path / f"s{suffix}"
    assert_refused(rf"s\{suffix}: there is no such file", path, **options)
    path.touch()
    assert_refused(rf"s\{suffix}: the file is empty", path, **options)
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert_refused(rf"s\{suffix}: cannot be read as an? .* file", path, **options)
    path.unlink()
    path.mkdir()
    assert_refused(rf"s\{suffix}: this is a folder, expected a file", path, **options)


def write_npz(path, values):
    np.savez_compressed(path, counts=values, theta=np.arange(float(len(values))))


def write_npy(path, values):
    np.save(path, values)


def write_mat(path, values):
    scipy.io.savemat(path, {"stack": values}, do_compression=True)


def write_h5(path, values):
    with h5py.File(path, "w") as file:
        file.create_dataset("stack", data=values, chunks=(1, *values.shape[1:]), compression="gzip")


@pytest.mark.parametrize(
    ("suffix", "write"), [(".npz", write_npz), (".npy", write_npy), (".mat", write_mat), (".h5", write_h5)]
)
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
def test_truncated_files(tmp_path, options, suffix, write, kept):
    path = tmp_path / f"s{suffix}"
    write(path, np.random.default_rng(0).integers(0, 60_000, (4, 32, 32)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert_refused(rf"s\{suffix}: cannot be read as an? .* file, it is damaged or cut short", path, **options)


@pytest.mark.parametrize(
    ("suffix", "write"), [(".npz", write_npz), (".npy", write_npy), (".mat", write_mat), (".h5", write_h5)]
)
def test_damaged_bytes_never_escape_as_another_error(tmp_path, options, suffix, write):
    path, rng = tmp_path / f"s{suffix}", np.random.default_rng(8)
    write(path, rng.integers(0, 200, (4, 6, 7)).astype(np.uint8))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    noticed = []
    for attempt in range(60):
        damaged = whole.copy()
        reach = len(whole) if attempt % 2 else min(len(whole), 200)
        damaged[rng.integers(0, reach, 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged[: rng.integers(1, len(whole))] if attempt % 5 == 0 else damaged)
        try:
            import_measurement(path, axes="tilt,y,x", **options)
        except InputError as refusal:
            noticed.append(str(refusal))
    assert len(noticed) >= 12  # what is cut short; damage to the numbers themselves may pass unseen
    assert not any("\n" in sentence for sentence in noticed)


def test_files_that_are_not_what_their_name_says(tmp_path, options):
    writers = {"npz": write_npz, "npy": write_npy, "mat": write_mat, "h5": write_h5}
    kinds = {"npz": r"an \.npz", "npy": r"an \.npy", "mat": "a MATLAB version 5", "h5": "an HDF5"}
    for actual, write in writers.items():
        write(tmp_path / f"true.{actual}", np.ones((4, 32, 32)))
        for claimed in writers:
            if claimed == actual or (claimed, actual) == ("mat", "h5"):  # version 7.3 is HDF5
                continue
            path = tmp_path / f"false.{claimed}"
            path.write_bytes((tmp_path / f"true.{actual}").read_bytes())
            sentence = rf"false\.{claimed}: expected {kinds[claimed]}.* file, but this is {kinds[actual]}"
            assert_refused(sentence, path, axes="tilt,y,x", **options)
    assert_refused(r"s\.tif: there is no such file", tmp_path / "s.tif")
    (tmp_path / "s.tif").write_bytes(b"II*\0")
    assert_refused(r"files of type '\.tif' are not read; known: \.npz, ", tmp_path / "s.tif")


def test_bad_npz_contents(tmp_path, series, options):
    path = tmp_path / "s.npz"
    counts = series["counts"].values
    np.savez(path, counts=counts, elements=np.array(["Cu", None], dtype=object))
    assert_refused(r"s\.npz: 'elements' holds Python objects", path, **options)
    np.savez(path, counts=counts, pixel_size=[1.0, 2.0])
    assert_refused(r"s\.npz: 'pixel_size' must be one number, it has shape \(2,\)", path, **options)
    np.savez(path, counts=counts, y=np.zeros((6, 2)))
    assert_refused(r"s\.npz: 'y' must be a list of numbers", path, **options)
    np.savez(path, counts=counts, y=np.arange(5) * 0.35)
    assert_refused(r"s\.npz: coordinate 'y' has shape \(5,\), but counts has 6 along 'y'", path, **options)
    np.savez(path, counts=counts, x=np.arange(7)[::-1] * 0.35)
    assert_refused(r"s\.npz: .*'x' must increase in even steps", path, **(options | {"pixel_size": None}))
    np.savez(path, counts=counts, modality="4dstem")
    assert_refused(r"s\.npz: this is a 4dstem measurement; say --modality 4dstem", path, **options)
    np.savez(path, counts=counts, modality="stm")
    assert_refused(r"s\.npz: 'modality' is 'stm', expected one of adf, 4dstem, hrtem", path, **options)
    np.savez(path, counts=counts, theta=np.arange(4.0), phi=np.arange(3.0))
    assert_refused(
        r"s\.npz: phi, theta and psi have \[3, 4, 4\] values", path, **(options | {"angles": None})
    )
    np.savez(path, label="nothing here")
    assert_refused(r"s\.npz: there is no array of 3 dimensions in it; its arrays are: none", path, **options)


def test_a_file_that_contradicts_itself_is_refused_and_an_option_settles_it(tmp_path, series, options):
    path = tmp_path / "s.npz"
    y, x = np.arange(6) * 0.5, np.arange(7) * 0.5
    np.savez(path, counts=series["counts"].values, y=y, x=x, pixel_size=0.35)
    assert_refused(
        "pixel_size is 0.35 Å, but coordinate '[xy]' has a step of 0.5 Å",
        path,
        **(options | {"pixel_size": None}),
    )
    data = import_measurement(path, **options)
    np.testing.assert_allclose(data["x"], x * 0.7)


def test_angles_without_tilts(stack, options):
    assert_refused("a hrtem measurement has no tilt angles", stack(), **(options | {"modality": "hrtem"}))


def test_modalities_whose_coordinates_have_no_option(tmp_path, series):
    np.save(tmp_path / "s.npy", series["counts"].values)
    assert_refused(
        r"an array 'time' \[ms\] along frame \(in an \.npz\)$",
        tmp_path / "s.npy",
        modality="hrtem",
        axes="frame,y,x",
        pixel_size=0.2,
        dose=1.0,
        background=0.0,
        elements="C",
    )
