import numpy as np
import pytest
import xarray as xr

from datasets.schema import make_measurement, pixel_axis

PIXEL_SIZE = 0.35


@pytest.fixture
def series() -> xr.Dataset:
    """A tilt series whose three axes differ in length and whose angles are all non-zero."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(40, (4, 6, 7)).astype(np.uint16)
    return make_measurement(
        "adf",
        counts,
        {
            "phi": [1.0, 2.0, 3.0, 4.0],
            "theta": [-60.0, -20.0, 20.0, 60.0],
            "psi": [-1.0, 0.5, 1.5, 2.5],
            "y": pixel_axis(6, PIXEL_SIZE),
            "x": pixel_axis(7, PIXEL_SIZE),
        },
        dose_per_area=1200.0,
        pixel_size=PIXEL_SIZE,
        background=0.25,
        elements=["Cu", "Au"],
        optics={"energy_eV": 200e3},
    )


@pytest.fixture
def angles(tmp_path, series) -> str:
    """The angles of `series` in a text file."""
    path = tmp_path / "angles.txt"
    np.savetxt(path, np.stack([series[name].values for name in ("phi", "theta", "psi")], axis=-1))
    return str(path)


@pytest.fixture
def options(angles) -> dict:
    """Every option that a file which says nothing needs, but for its axes."""
    return {
        "pixel_size": PIXEL_SIZE,
        "angles": angles,
        "angle_convention": "active",
        "dose": 1200.0,
        "background": 0.25,
        "elements": ["Cu", "Au"],
        "energy_eV": 200e3,
    }
