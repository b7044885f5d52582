"""Rotation-invariant 3D Zernike descriptors of the density around each atom.

Canterakis, Proc. 11th Scandinavian Conf. Image Analysis, 85 (1999); Novotni & Klein, Comput.-Aided Des. 36,
1047 (2004). In a ball, scaled to the unit one, the functions

    Z_nlm(x) = R_nl(|x|) Y_lm(x / |x|),   l = n, n − 2, … ≥ 0,   −l ≤ m ≤ l,
    R_nl(r) = sqrt((2n + 3) / 3) r^l P_k^(0, l + 1/2)(2r² − 1),   k = (n − l) / 2,

are orthonormal polynomials of degree n under the mean over the ball (real Y_lm, of unit mean square over the
sphere), as in Novotni & Klein: the moment of (n, l, m) = (0, 0, 0) is the mean density. A rotation mixes the
2l + 1 moments of one (n, l) orthogonally, so their norm F_nl does not change.

The density is a quintic spline, read at the points of one fixed quadrature of the ball: Gauss–Jacobi along
the radius times Lebedev on spheres. Per atom and point that is 252 multiply-adds to read and one for each of
the (N + 1)(N + 2)(N + 3) / 6 functions: time goes as the number of atoms. With a cubic spline a rotation of
atoms as narrow as the voxels allow (0.45 Å on 0.4 Å) changed descriptors two to three times more.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import scipy.integrate
import scipy.ndimage
import scipy.special

from datasets.errors import InputError

BAND = 1.0
"""The quadrature follows densities up to this part of the highest frequency that the voxels hold."""
BATCH_POINTS = 1 << 21
"""Points that are read at once: 16 MB of densities."""
MARGIN = 6
"""Empty voxels put around the volume: beyond its edge the spline dies out within them."""
MAX_ORDER = 30
LEBEDEV = (3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 35, 41, 47, 53, 59, 65, 71, 77, 83, 89, 95)
"""Degrees up to which there is a Lebedev rule here."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BallQuadrature:
    """Points (n_points, 3) of the unit ball and weights (n_points,) of the mean over it."""

    points: FloatArray
    weights: FloatArray


def zernike_descriptors(
    volume: npt.NDArray[np.floating],
    voxel: float,
    centres: FloatArray,
    *,
    radius: float,
    order: int,
    origin: tuple[float, float, float] | None = None,
    band: float = BAND,
) -> FloatArray:
    """F_nl (n, n_features) of the density within `radius` [Å] of each of `centres` (n, 3) as x, y, z [Å].

    `volume` is (z, y, x) with steps of `voxel` [Å]; `origin` is where its first voxel lies, as x, y, z [Å],
    by default such that voxel n // 2 of each axis is at 0. Outside the volume there is nothing. Features come
    in the order of `feature_names(order)` and have the unit of the density. Raises `InputError`.
    """
    moments = zernike_moments(volume, voxel, centres, radius=radius, order=order, origin=origin, band=band)
    starts = np.cumsum([0, *(2 * degree + 1 for _, degree in feature_names(order)[:-1])])
    return np.sqrt(np.add.reduceat(moments**2, starts, axis=1))


def zernike_moments(
    volume: npt.NDArray[np.floating],
    voxel: float,
    centres: FloatArray,
    *,
    radius: float,
    order: int,
    origin: tuple[float, float, float] | None = None,
    band: float = BAND,
) -> FloatArray:
    """The moments (n, n_functions) themselves, (n, l) after (n, l), each with m = −l … l.

    Arguments are those of `zernike_descriptors`.
    """
    centres = np.asarray(centres, dtype=np.float64)
    _check(volume, voxel, centres, radius, order)
    if origin is None:
        first = np.array([-(n // 2) * voxel for n in volume.shape])
    else:
        first = np.array(origin[::-1], dtype=np.float64)
    quadrature = ball_quadrature(order, band_limit(radius, voxel, band))
    basis = zernike_basis(quadrature.points, order) * quadrature.weights[:, None]
    offsets = quadrature.points[:, ::-1] * (radius / voxel)
    index = (centres[:, ::-1] - first) / voxel
    padded = np.pad(volume.astype(np.float32, copy=False), MARGIN)
    coefficients = scipy.ndimage.spline_filter(padded, order=5, output=np.float32, mode="mirror")
    del padded
    moments = np.empty((len(centres), basis.shape[1]))
    batch = max(1, BATCH_POINTS // len(offsets))
    for start in range(0, len(centres), batch):
        density = read_spline(coefficients, index[start : start + batch] + MARGIN, offsets)
        moments[start : start + batch] = density @ basis
    return moments


def feature_names(order: int) -> list[tuple[int, int]]:
    """The (n, l) of every feature up to `order`, in order."""
    return [(n, degree) for n in range(order + 1) for degree in range(n % 2, n + 1, 2)]


def band_limit(radius: float, voxel: float, band: float = BAND) -> int:
    """The angular degree that waves of `band` times the grid's highest frequency reach at `radius`."""
    return math.ceil(band * math.pi * radius / voxel)


@functools.lru_cache(maxsize=8)
def ball_quadrature(order: int, extra: int = 0) -> BallQuadrature:
    """A rule for the mean over the unit ball, exact for products of two functions up to `order`.

    A density may hold angular degrees up to `extra` at the surface, and in proportion to the radius within:
    spheres have as many points as a product of such a density and a function of `order` needs.
    """
    degree = order + max(order, extra)
    nodes, radial_weights = scipy.special.roots_jacobi(degree // 2 + 1, 0.0, 2.0)
    radii, radial_weights = (1 + nodes) / 2, radial_weights / radial_weights.sum()
    points, weights = [], []
    for r, weight in zip(radii, radial_weights, strict=True):
        sphere, on_sphere = _lebedev(order + max(order, math.ceil(extra * r)))
        points.append(r * sphere)
        weights.append(weight * on_sphere)
    return BallQuadrature(np.concatenate(points), np.concatenate(weights))


def zernike_basis(points: FloatArray, order: int) -> FloatArray:
    """Z_nlm (n_points, n_functions) at `points` (n_points, 3) of the unit ball, as x, y, z."""
    r = np.linalg.norm(points, axis=1)
    polar = np.arccos(np.clip(points[:, 2] / np.maximum(r, 1e-300), -1.0, 1.0))
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    angular = [_real_harmonics(degree, polar, azimuth) for degree in range(order + 1)]
    return np.concatenate(
        [_radial(n, degree, r)[:, None] * angular[degree] for n, degree in feature_names(order)], axis=1
    )


def _radial(n: int, degree: int, r: FloatArray) -> FloatArray:
    jacobi = scipy.special.eval_jacobi((n - degree) // 2, 0.0, degree + 0.5, 2 * r**2 - 1)
    return np.asarray(math.sqrt((2 * n + 3) / 3) * r**degree * jacobi)


def _real_harmonics(degree: int, polar: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Real spherical harmonics (n_points, 2 degree + 1) whose square has mean one over the sphere."""
    columns = []
    for m in range(-degree, degree + 1):
        value = scipy.special.sph_harm_y(degree, abs(m), polar, azimuth) * math.sqrt(4 * math.pi)
        columns.append(value.real if m == 0 else math.sqrt(2) * (value.imag if m < 0 else value.real))
    return np.stack(columns, axis=1)


@functools.lru_cache(maxsize=32)
def _lebedev(degree: int) -> tuple[FloatArray, FloatArray]:
    """Points (n, 3) and weights (n,), which add up to one, of the least rule of at least `degree`."""
    enough = next(known for known in LEBEDEV if known >= degree)
    points, weights = scipy.integrate.lebedev_rule(enough)
    return np.ascontiguousarray(points.T), weights / weights.sum()


@numba.njit(cache=True, nogil=True, fastmath=True)
def read_spline(coefficients: npt.NDArray[np.float32], index: FloatArray, offsets: FloatArray) -> FloatArray:
    """The quintic spline of `coefficients` (z, y, x) at `index` (n, 3) + `offsets` (q, 3), (n, q) [voxel].

    Zero where one of its 6³ coefficients would lie outside the array.
    """
    n_z, n_y, n_x = coefficients.shape
    along_z, along_y, along_x, line = np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    out = np.zeros((len(index), len(offsets)))
    for atom in range(len(index)):
        for point in range(len(offsets)):
            z = index[atom, 0] + offsets[point, 0]
            y = index[atom, 1] + offsets[point, 1]
            x = index[atom, 2] + offsets[point, 2]
            if not (2 <= z < n_z - 3 and 2 <= y < n_y - 3 and 2 <= x < n_x - 3):
                continue
            k, j, i = int(z), int(y), int(x)
            _weights(z - k, along_z)
            _weights(y - j, along_y)
            _weights(x - i, along_x)
            line[:] = 0.0
            for c in range(6):
                for b in range(6):
                    weight = along_z[c] * along_y[b]
                    for a in range(6):
                        line[a] += weight * coefficients[k - 2 + c, j - 2 + b, i - 2 + a]
            for a in range(6):
                out[atom, point] += along_x[a] * line[a]
    return out


@numba.njit(cache=True, nogil=True, fastmath=True)
def _weights(t: float, weights: FloatArray) -> None:
    """Fill `weights` (6,) of the quintic B-spline for the voxels −2 … 3 about a place `t` past a voxel."""
    s = 1.0 - t
    weights[0], weights[5] = s**5 / 120, t**5 / 120
    weights[1], weights[4] = _flank(1.0 + t), _flank(1.0 + s)
    weights[2], weights[3] = _centre(t), _centre(s)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _centre(x: float) -> float:
    return 0.55 + x * x * (-0.5 + x * x * (0.25 - x / 12))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _flank(x: float) -> float:
    return 0.425 + x * (0.625 + x * (-1.75 + x * (1.25 + x * (-0.375 + x / 24))))


def _check(
    volume: npt.NDArray[np.floating], voxel: float, centres: FloatArray, radius: float, order: int
) -> None:
    if volume.ndim != 3 or min(volume.shape) < 2:
        raise InputError(f"descriptors need a volume (z, y, x) of at least 2 voxels each, got {volume.shape}")
    if centres.ndim != 2 or centres.shape[1] != 3:
        raise InputError(f"centres must be (n, 3) as x, y, z, got shape {centres.shape}")
    if not (voxel > 0 and radius > 0):
        raise InputError(f"voxel and radius must be positive, they are {voxel} and {radius}")
    if not 0 <= order <= MAX_ORDER:
        raise InputError(f"order must be from 0 to {MAX_ORDER}, it is {order}")
    if order + max(order, band_limit(radius, voxel)) > LEBEDEV[-1]:
        raise InputError(f"a radius of {radius} Å holds too many voxels of {voxel} Å for descriptors")
