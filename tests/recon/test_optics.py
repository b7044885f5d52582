"""Constants of electrons against published ones."""

import pytest

from recon.optics import interaction_constant, wavelength


@pytest.mark.parametrize(("energy", "published"), [(80e3, 0.041757), (200e3, 0.025079), (300e3, 0.019687)])
def test_wavelength(energy: float, published: float) -> None:
    assert wavelength(energy) == pytest.approx(published, abs=1e-6)


def test_interaction_constant_at_80_kv() -> None:
    assert interaction_constant(80e3) == pytest.approx(1.0087e-3, rel=1e-3)
