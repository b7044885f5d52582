"""What a frame says about its atoms: derivatives of the expected counts, and Fisher information.

To first order an atom adds to the frame an image of its own, f(k; z_j) exp(−2πi k·r_j), real in k. Contrast
is a few percent, so every pixel has nearly the same Poisson variance, and by Parseval's theorem the
information is a sum over the modes of the half plane:

    F_ij = n Σ_k w_k Re[∂_i I*(k) ∂_j I(k)],   n the electrons of a frame, w = 2, at k = 0 1.

Cost: 2 K_y K_x (3N)² multiplications and additions, 640 atoms, 127 × 64 modes: 60 Gflop in single
precision, 1 s.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recon.graphene.multislice import FrameModel

FloatArray = npt.NDArray[np.float64]
Columns = npt.NDArray[np.float32]


def atom_images(model: FrameModel, positions: FloatArray) -> Columns:
    """The image of every atom alone, (n_atoms, n_modes) standardised so that noise has variance 1."""
    return _columns(model, positions, ("image",))[:, 0]


def derivatives(model: FrameModel, positions: FloatArray) -> Columns:
    """Those of the frame with respect to x, y and z [Å] of every atom, (n_atoms, 3, n_modes) as
    `atom_images`.
    """
    return _columns(model, positions, ("x", "y", "z"))


def fisher_information(model: FrameModel, positions: FloatArray) -> FloatArray:
    """Fisher information (3 n_atoms, 3 n_atoms) [1/Å²] of the coordinates of all atoms together."""
    columns = derivatives(model, positions).reshape(3 * len(positions), -1)
    return np.asarray(columns @ columns.T, dtype=np.float64)


def standardised_modes(model: FrameModel, frame: FloatArray) -> Columns:
    """The modes (n_modes,) of a `frame` (n_y, n_x) [e⁻/pixel] less its mean, as `atom_images` gives them."""
    padded = np.zeros(model.padded)
    padded[model.crop] = frame - frame.mean()
    modes = np.fft.rfft2(padded)[model.rows][:, : len(model.kx)]
    weights = _weights(model) / (model.electrons * padded.size)
    scaled = modes * weights
    return np.concatenate([scaled.real.ravel(), scaled.imag.ravel()]).astype(np.float32)


def _weights(model: FrameModel) -> FloatArray:
    """Square root of the information per mode (1, n_kx), for images in units of vacuum."""
    doubled = np.full((1, len(model.kx)), 2.0)
    doubled[0, 0] = 1.0
    pixels = model.padded[0] * model.padded[1]
    return np.asarray(np.sqrt(doubled * model.electrons * pixels))


def _columns(model: FrameModel, positions: FloatArray, which: tuple[str, ...]) -> Columns:
    ky, kx = (k.cpu().numpy().astype(np.float64) for k in (model.ky, model.kx))
    orders = np.arange(model.n_terms)
    terms = model.linear() * _weights(model)
    tilt = {"x": -2j * np.pi * kx[None, :], "y": -2j * np.pi * ky[:, None]}
    result = np.empty((len(positions), len(which), 2, len(ky), len(kx)), dtype=np.float32)
    for row, (x, y, z) in zip(result, positions - [*model.origin[::-1], 0], strict=True):
        wave = np.exp(-2j * np.pi * ky * y)[:, None] * np.exp(-2j * np.pi * kx * x)
        image = np.tensordot(z**orders, terms, axes=1)
        for part, name in zip(row, which, strict=True):
            if name == "z":
                powers = orders[1:] * z ** orders[:-1]
                values = np.tensordot(powers, terms[1:], axes=1) * wave
            else:
                values = image * wave * tilt.get(name, 1.0)
            part[0], part[1] = values.real, values.imag
    return result.reshape(len(positions), len(which), -1)
