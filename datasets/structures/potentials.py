"""The interatomic potentials that structures are made with, each with its reference."""

from __future__ import annotations

from datasets.structures import embedded_atom
from datasets.structures.molecular_dynamics import Potential


def zhou_johnson_wadley(*elements: str) -> Potential:
    """The embedded-atom potential of Zhou, Johnson and Wadley (2004) for `elements` and their alloys.

    Sixteen metals (`embedded_atom.metals`); raises `InputError` for another. 0.2 s per table.
    """
    return Potential(
        elements=elements,
        pair_style="eam/alloy",
        pair_coeff=("* * {table} {elements}",),
        reference=embedded_atom.REFERENCE,
        table=embedded_atom.setfl(elements, embedded_atom.chosen_metals(elements)),
    )


SILICON_GLASS = Potential(
    elements=("Si",),
    pair_style="sw",
    pair_coeff=("* * {table} {elements}",),
    reference=(
        "Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), with ε and λ as fitted to amorphous silicon by "
        "Vink, Barkema, van der Weg and Mousseau, J. Non-Cryst. Solids 282, 248 (2001)"
    ),
    # ε [eV], σ [Å], a, λ, γ, cos θ₀, A, B, p, q, tolerance
    table="Si Si Si 1.64833 2.0951 1.80 31.5 1.20 -0.333333333333 7.049556277 0.6022245584 4.0 0.0 0.0\n",
)


def _stretched_tersoff(factor: float) -> str:
    """Lindsay and Broido's Tersoff entry for carbon with every length multiplied by `factor`.

    LAMMPS' columns: elements 1–3, m, gamma, lambda3, c, d, cos theta0, n, beta, lambda2, B, R, D, lambda1, A.
    """
    lambda2, cutoff, width, lambda1 = 2.2119 / factor, 1.95 * factor, 0.15 * factor, 3.4879 / factor
    return (
        "C C C 3.0 1.0 0.0 3.8049e4 4.3484 -0.93000 0.72751 1.5724e-7 "
        f"{lambda2:.9f} 430.00 {cutoff:.9f} {width:.9f} {lambda1:.9f} 1393.6\n"
    )


CARBON_BOND = 1.4210
"""Carbon–carbon bond of graphene [Å]: graphite's lattice constant, 2.461 Å, over √3 (Baskin and Meyer, Phys.
Rev. 100, 544 (1955))."""
CARBON_TERSOFF = Potential(
    elements=("C",),
    pair_style="tersoff",
    pair_coeff=("* * {table} {elements}",),
    reference="Lindsay and Broido, Phys. Rev. B 81, 205441 (2010), lengths scaled to graphene's bond",
    table=_stretched_tersoff(CARBON_BOND / 1.4389),
)
"""Tersoff's potential with the parameters optimised for graphene's phonons.

As published it has its minimum of energy at a bond of 1.4389 Å (as measured), 1.3 % more than graphene's.
All its lengths are therefore scaled by one factor: this leaves every energy, also the bending rigidity, as it
was, and makes the sheet 2.5 % stiffer in its plane.
"""

SILICA_VASHISHTA = Potential(
    elements=("Si", "O"),
    pair_style="vashishta",
    pair_coeff=("* * {potentials}/SiO.1994.vashishta {elements}",),
    reference=(
        "Vashishta, Kalia, Rino and Ebbsjö, Phys. Rev. B 41, 12197 (1990), with the screened charges of "
        "Nakano, Kalia and Vashishta, J. Non-Cryst. Solids 171, 157 (1994)"
    ),
)
"""Screened ions, and three-body forces that hold the O–Si–O and Si–O–Si angles; cut at 5.5 Å."""
