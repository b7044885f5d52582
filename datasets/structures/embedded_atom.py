"""Embedded-atom functions of sixteen metals and of their alloys, tabulated for LAMMPS.

Zhou, Johnson and Wadley, Phys. Rev. B 69, 144113 (2004): a pair potential, an electron density, an embedding
energy in three pieces, and Johnson's rule that gives the pair potential between two metals from the functions
of each, so that any alloy of them can be simulated. The parameters are read from the database that LAMMPS
keeps for the first author (`tools/eam_database/EAM_code`, revised after the potentials repository of NIST).
There the lower piece of Pt's embedding energy ends at 0.25 of the equilibrium density, not at 0.85 as for the
others: that is where it meets the middle one.

The mixing rule is an interpolation, not fitted to any alloy: sizes and chemical affinities are about right,
phase diagrams are not promised. A setfl file is thirty lines of NumPy; atsim.potentials writes one as well,
in pure Python loops, and is published as a source archive only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from ase.data import atomic_masses, atomic_numbers

from datasets.errors import unknown_name

FloatArray = npt.NDArray[np.float64]

REFERENCE = "X. W. Zhou, R. A. Johnson and H. N. G. Wadley, Phys. Rev. B 69, 144113 (2004)"

_PARAMETERS = """
element         Cu        Ag        Au        Ni        Pd        Pt        Al        Pb
re        2.556162  2.891814  2.885034  2.488746  2.750897  2.771916  2.863924  3.499723
fe        1.554485  1.106232  1.529021  2.007018  1.595417  2.336509  1.403115  0.647872
rhoe     21.175871 14.604100 19.991632 27.562015 21.335246 33.367564 20.418205  8.450154
rhos     21.175395 14.604144 19.991509 27.562031 21.940073 35.205357 23.195740  8.450063
alpha     8.127620  9.132010  9.516052  8.383453  8.697397  7.105782  6.613165  9.121799
beta      4.334731  4.870405  5.075228  4.471175  4.638612  3.789750  3.527021  5.212457
A         0.396620  0.277758  0.229762  0.429046  0.406763  0.556398  0.314873  0.161219
B         0.548085  0.419611  0.356666  0.633531  0.598880  0.696037  0.365551  0.236884
kappa     0.308782  0.339710  0.356570  0.443599  0.397263  0.385255  0.379846  0.250805
lambda    0.756515  0.750758  0.748798  0.820658  0.754799  0.770510  0.759692  0.764955
Fn0      -2.170269 -1.729364 -2.937772 -2.693513 -2.321006 -1.455568 -2.807602 -1.422370
Fn1      -0.263788 -0.255882 -0.500288 -0.076445 -0.473983 -2.149952 -0.301435 -0.210107
Fn2       1.088878  0.912050  1.601954  0.241442  1.615343  0.528491  1.258562  0.682886
Fn3      -0.817603 -0.561432 -0.835530 -2.375626 -0.231681  1.222875 -1.247604 -0.529378
F0           -2.19     -1.75     -2.98     -2.70     -2.36     -4.17     -2.83     -1.44
F2        0.561830  0.744561  1.706587  0.265390  1.481742  3.010561  0.622245  0.702726
F3       -2.100595 -1.150650 -1.134778 -0.152856 -1.675615 -2.420128 -2.488244 -0.538766
eta       0.310490  0.783924  1.021095  0.445470  1.130000  1.450000  0.785902  0.935380
Fe       -2.186568 -1.748423 -2.978815      -2.7 -2.352753 -4.145597 -2.824528 -1.439436
low           0.85      0.85      0.85      0.85      0.85      0.25      0.85      0.85

element         Fe        Mo        Ta         W        Mg        Co        Ti        Zr
re        2.481987  2.728100  2.860082  2.740840  3.196291  2.505979  2.933872  3.199978
fe        1.885957  2.723710  3.086341  3.487340  0.544323  1.975299  1.863200  2.230909
rhoe     20.041463 29.354065 33.787168 37.234847  7.132600 27.206789 25.565138 30.879991
rhos     20.041463 29.354065 33.787168 37.234847  7.132600 27.206789 25.565138 30.879991
alpha     9.818270  8.393531  8.489528  8.900114 10.228708  8.679625  8.775431  8.559190
beta      5.236411  4.476550  4.527748  4.746728  5.455311  4.629134  4.680230  4.564902
A         0.392811  0.708787  0.611679  0.882435  0.137518  0.421378  0.373601  0.424667
B         0.646243  1.120373  1.032101  1.394592  0.225930  0.640107  0.570968  0.640054
kappa     0.170306  0.137640  0.176977  0.139209       0.5       0.5       0.5       0.5
lambda    0.340613  0.275280  0.353954  0.278417       1.0       1.0       1.0       1.0
Fn0      -2.534992 -3.692913 -5.103845 -4.946281 -0.896473 -2.541799 -3.203773 -4.485793
Fn1      -0.059605 -0.178812 -0.405524 -0.148818 -0.044291 -0.219415 -0.198262 -0.293129
Fn2       0.193065  0.380450  1.112997  0.365057  0.162232  0.733381  0.683779  0.990148
Fn3      -2.282322 -3.133650 -3.585325 -4.432406 -0.689950 -1.589003 -2.321732 -3.202516
F0           -2.54     -3.71     -5.14     -4.96     -0.90     -2.56     -3.22     -4.51
F2        0.200269  0.875874  1.640098  0.661935  0.122838  0.705845  0.608587  0.928602
F3       -0.148770  0.776222  0.221375  0.348147 -0.226010 -0.687140 -0.750710 -0.981870
eta       0.391750  0.790879  0.848843  0.582714  0.431425  0.694608  0.558572  0.597133
Fe       -2.539945 -3.712093 -5.141526 -4.961306 -0.899702 -2.559307 -3.219176 -4.509025
low           0.85      0.85      0.85      0.85      0.85      0.85      0.85      0.85
"""


@dataclass(frozen=True)
class Metal:
    """The parameters of one metal, named as in the paper; lengths in Å, energies in eV.

    `low` is the density, relative to `rhoe`, at which the lower piece of the embedding energy ends.
    """

    re: float
    fe: float
    rhoe: float
    rhos: float
    alpha: float
    beta: float
    A: float
    B: float
    kappa: float
    lambda_: float
    lower: tuple[float, float, float, float]
    """F_n0 … F_n3."""
    middle: tuple[float, float, float, float]
    """F_0 … F_3; F_1 is zero: the embedding energy is lowest at `rhoe`."""
    eta: float
    Fe: float
    low: float
    high: float = 1.15

    def density(self, r: FloatArray) -> FloatArray:
        """The electron density at distance `r` [Å] from an atom."""
        return self._decay(r, self.fe, self.beta, self.lambda_)

    def pair(self, r: FloatArray) -> FloatArray:
        """The pair potential [eV] of two such atoms at distance `r` [Å]."""
        repulsion = self._decay(r, self.A, self.alpha, self.kappa)
        return repulsion - self._decay(r, self.B, self.beta, self.lambda_)

    def embedding(self, rho: FloatArray) -> FloatArray:
        """The energy [eV] of an atom in the electron density `rho`."""
        low, high = self.low * self.rhoe, self.high * self.rhoe
        relative = np.maximum(rho, high) / self.rhos
        upper = self.Fe * (1 - self.eta * np.log(relative)) * relative**self.eta
        pieces = [
            np.polyval(self.lower[::-1], rho / low - 1),
            np.polyval(self.middle[::-1], rho / self.rhoe - 1),
        ]
        return np.select([rho < low, rho < high], pieces, upper)

    def _decay(self, r: FloatArray, height: float, rate: float, cut: float) -> FloatArray:
        x = r / self.re
        return height * np.exp(-rate * (x - 1)) / (1 + (x - cut) ** 20)


def mixed_pair(first: Metal, second: Metal, r: FloatArray) -> FloatArray:
    """The pair potential [eV] of two atoms of different metals at distance `r` [Å]: the mean of the pair
    potentials of either, weighted by the ratio of electron densities.
    """
    ratio = second.density(r) / first.density(r)
    return (ratio * first.pair(r) + second.pair(r) / ratio) / 2


@cache
def metals() -> dict[str, Metal]:
    """All sixteen metals by symbol."""
    known = {}
    for block in _PARAMETERS.strip().split("\n\n"):
        rows = [line.split() for line in block.splitlines()]
        for column, symbol in enumerate(rows[0][1:], start=1):
            value = {row[0]: float(row[column]) for row in rows[1:]}
            lower = (value.pop("Fn0"), value.pop("Fn1"), value.pop("Fn2"), value.pop("Fn3"))
            middle = (value.pop("F0"), 0.0, value.pop("F2"), value.pop("F3"))
            known[symbol] = Metal(lambda_=value.pop("lambda"), lower=lower, middle=middle, **value)
    return known


def chosen_metals(elements: Sequence[str]) -> list[Metal]:
    """The metals called `elements`; raises `InputError` for one that is not among the sixteen."""
    for symbol in elements:
        if symbol not in metals():
            raise unknown_name("metal", symbol, sorted(metals()))
    return [metals()[symbol] for symbol in elements]


def cutoff(chosen: Sequence[Metal]) -> float:
    """The distance [Å] beyond which nothing interacts: √5 nearest-neighbour distances of the largest metal,
    as in the author's own tables; what is cut off there is a few µeV.
    """
    return float(np.sqrt(5) * max(metal.re for metal in chosen))


def setfl(elements: Sequence[str], chosen: Sequence[Metal], n_r: int = 2000, n_rho: int = 2000) -> str:
    """A table in the format setfl (LAMMPS' `eam/alloy`) of the `chosen` metals, called `elements`.

    `n_r` distances up to the cutoff and `n_rho` densities up to 100 or twice the highest at equilibrium.
    Below 0.5 Å functions are held constant.
    """
    last = cutoff(chosen)
    r, step_r = np.linspace(0, last, n_r, retstep=True)
    rho, step_rho = np.linspace(0, max(100.0, *(2 * metal.rhoe for metal in chosen)), n_rho, retstep=True)
    inside = np.maximum(r, 0.5)
    lines = [f"Zhou, Johnson and Wadley 2004: {' '.join(elements)}", "", ""]
    lines.append(f"{len(elements)} {' '.join(elements)}")
    lines.append(f"{n_rho} {step_rho:.16e} {n_r} {step_r:.16e} {last:.16e}")
    for symbol, metal in zip(elements, chosen, strict=True):
        number = atomic_numbers[symbol]
        lines.append(f"{number} {atomic_masses[number]:.5f} {np.sqrt(2) * metal.re:.6f} fcc")
        lines += [_numbers(metal.embedding(rho)), _numbers(metal.density(inside))]
    for i, first in enumerate(chosen):
        for second in chosen[: i + 1]:
            pair = first.pair(inside) if first is second else mixed_pair(first, second, inside)
            lines.append(_numbers(r * pair))
    return "\n".join(lines) + "\n"


def _numbers(values: FloatArray) -> str:
    return "\n".join(f"{value:.12e}" for value in values)
