"""Extended Data Fig. 6 of paper 003: what a random defocus of every image costs."""

from __future__ import annotations

from pathlib import Path

from datasets.errors import InputError
from reports.accuracy import QUANTITIES, accuracy
from reports.again import make_again
from reports.figures import style
from reports.figures.paper_003 import words
from reports.figures.paper_003.projections import CAPTION, bar_text, triple
from reports.figures.paper_003.species import Group, bounded, comparison, histogram, key
from reports.figures.plate import Panel, Plate
from reports.published import ALL, DEFOCUS, FOCUSED, results_of
from reports.series import DEFOCUS as DEFOCUS_KIND
from reports.series import Collection, Series

ELEMENTS = ("Co", "Pd", "Pt")


def plate(collection: Collection, cache: Path) -> Plate:
    """The same particle in focus and with random defocus, at the dose nearest to the paper's.

    Raises `InputError` when the results lack one of the two.
    """
    focused, defocused = pair(collection)
    method = common_method(focused, defocused)
    stated = results_of(words.like(defocused), DEFOCUS)
    both = sorted(set(focused.doses(method)) & set(defocused.doses(method)))
    dose = words.doses_shown(both, stated, 1)[0]
    notes = words.missing_doses(defocused, both, stated)
    panels: list[Panel] = []
    drawn = ""
    try:
        again = make_again(defocused, words.representative(defocused, method, dose), cache)
        notes += words.differs(defocused, again)
        panels += triple(again)
        panels += [
            histogram(
                again,
                defocused.store.truth(),
                collection.cutoff,
                "Traced atoms",
                wide=12,
            )
        ]
        drawn = (
            f"a–d with defocus: the image at {again.theta:.0f}° raw, denoised and less its background, and "
            f"calculated from the volume; intensities of the traced atoms (n = {len(again.positions):,}) "
            f"by true species. {CAPTION} {bar_text(again)} "
        )
    except InputError as error:
        notes.append(f"{defocused.name}: no projections and intensities, for {error}.")
    spread = defocused.card.imperfections.defocus_range / 10
    groups = [
        Group(
            "focused",
            accuracy(focused, method, dose),
            words.stated(results_of(words.like(focused), FOCUSED), dose),
        ),
        Group(f"±{spread:g} nm", accuracy(defocused, method, dose), words.stated(stated, dose)),
    ]
    if focused.linear:
        notes.append(f"{defocused.name} is made of linear images, in which defocus has no effect.")
    panels.append(key([*focused.elements, ALL], bound=bounded(groups)))
    panels += [comparison(groups, quantity, "Defocus") for quantity in QUANTITIES]
    return Plate(
        key="extended-fig-6",
        title="Extended Data Fig. 6: random defocus",
        panels=tuple(panels),
        caption=(
            f"{words.scale(defocused)}, beside {focused.name}, at {style.dose_text(dose)} e⁻/Å² per image; "
            f"{collection.names[method]}. {drawn}Last three panels: accuracy in focus and with defocus "
            f"random within ±{spread:g} nm. {words.rules(collection, defocused, groups)} "
            f"{words.interval(defocused, method, [dose])}"
        ),
        alt="Projections and peak intensities with random defocus; identification rate, precision and RMSD "
        "by species in focus and out of it, beside the paper's.",
        notes=tuple(notes),
        rows=words.table([(g.label, g) for g in groups]),
    )


def pair(collection: Collection) -> tuple[Series, Series]:
    """A series with no imperfection and one with random defocus alone, of the same structure and acquisition.

    Raises `InputError`.
    """
    perfect = collection.find(ELEMENTS, only=True)
    for defocused in collection.find(ELEMENTS, needed=[DEFOCUS_KIND], only=True):
        for focused in perfect:
            same = (focused.card.structure, focused.card.imaging) == (
                defocused.card.structure,
                defocused.card.imaging,
            )
            if same:
                return focused, defocused
    missing = "in focus" if not perfect else "with random defocus alone (copdpt-300[defocus_range=30])"
    raise InputError(f"no Co–Pd–Pt series {missing} is among the results, with the same acquisition")


def common_method(one: Series, other: Series) -> str:
    """The plainest RESIRE, or else another method, that has answers on both. Raises `InputError`."""
    for series, counterpart in ((one, other), (other, one)):
        method = series.choose("resire", align=("none",), angles=("nominal",))
        if method is not None and set(counterpart.doses(method)) & set(series.doses(method)):
            return method
    raise InputError(f"no method with nominal angles has answers on both {one.name} and {other.name}")
