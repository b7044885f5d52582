"""Background removal on images whose background is known."""

import numpy as np
import pytest

from datasets.errors import InputError
from recon.preprocess.background import subtract_background
from recon.preprocess.inpaint import harmonic_background


@pytest.fixture
def images() -> np.ndarray:
    """An object in the middle, on backgrounds of 5 and 7."""
    images = np.zeros((2, 20, 24))
    images[:, 8:12, 9:14] = 30.0
    return images + np.array([5.0, 7.0])[:, None, None]


def test_known_is_exact_and_leaves_noise_negative(images: np.ndarray) -> None:
    np.testing.assert_array_equal(subtract_background(images, "known", known=5.0), images - 5.0)
    assert subtract_background(images, "known", known=6.0).min() == -1.0


def test_border_finds_each_image_its_own(images: np.ndarray) -> None:
    flat = subtract_background(images, "border")
    assert flat[:, 0, 0].tolist() == [0.0, 0.0]
    assert flat.max() == 30.0


def test_minimum_is_the_series_minimum(images: np.ndarray) -> None:
    flat = subtract_background(images, "minimum")
    assert flat[0].min() == 0.0
    assert flat[1].min() == 2.0


def test_none_changes_nothing(images: np.ndarray) -> None:
    assert subtract_background(images, "none", known=3.0) is images


def test_unknown_method(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="background must be one of"):
        subtract_background(images, "magic")  # type: ignore[arg-type]


class TestInpaint:
    """The background continued underneath the object."""

    @pytest.fixture
    def place(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """y and x from −0.5 to 0.5, and the mask of a disc."""
        y, x = np.mgrid[:96, :104]
        y, x = y / 96 - 0.5, x / 104 - 0.5
        return y, x, np.hypot(y, x) < 0.3

    @pytest.mark.parametrize("shape", ["constant", "linear", "saddle"])
    def test_harmonic_backgrounds_are_recovered(
        self, place: tuple[np.ndarray, np.ndarray, np.ndarray], shape: str
    ) -> None:
        y, x, mask = place
        truth = 5.0 + {"constant": 0 * x, "linear": 3 * x - y, "saddle": 8 * (x**2 - y**2) + 4 * x * y}[shape]
        found = harmonic_background(truth + 30.0 * mask, mask)
        np.testing.assert_allclose(found[mask], truth[mask], rtol=0.02)

    def test_flat_background_of_counts_is_unbiased(
        self, place: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        _, _, mask = place
        rng = np.random.default_rng(0)
        images = rng.poisson(2.0 + 30.0 * mask, (20, *mask.shape)).astype(float)
        found = [harmonic_background(image, mask)[mask].mean() for image in images]
        standard_error = np.std(found) / np.sqrt(len(found))
        assert np.mean(found) == pytest.approx(2.0, abs=4 * standard_error)
        assert standard_error < 0.02

    def test_the_object_is_left(self, place: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """On a sloping background with noise: the object's electrons come out, and nothing else."""
        y, x, _ = place
        bump = 40.0 * np.clip(1 - (np.hypot(y, x) / 0.3) ** 2, 0, None)
        counts = np.random.default_rng(0).poisson(bump + 4 + 3 * x, (4, *x.shape)).astype(float)
        left = subtract_background(counts, "inpaint")
        np.testing.assert_allclose(left.sum(axis=(1, 2)), bump.sum(), rtol=0.02)
        assert not left[:, :8].any()

    @pytest.mark.parametrize("shift", [0.0, 3.0, 100.0])
    def test_a_constant_shift_changes_nothing(
        self, place: tuple[np.ndarray, np.ndarray, np.ndarray], shift: float
    ) -> None:
        image = np.where(place[2], 12.0, 2.0)[None]
        np.testing.assert_allclose(
            subtract_background(image + shift, "inpaint"), subtract_background(image, "inpaint"), atol=1e-6
        )

    def test_nothing_to_see_leaves_nothing(self) -> None:
        np.testing.assert_allclose(subtract_background(np.full((1, 32, 32), 7.0), "inpaint"), 0.0, atol=1e-9)
