"""Figs. 2 and 3 of paper 003: an alloy's projections, peak intensities, and accuracy by species and dose."""

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
from reports.published import ALL, DEFOCUS, FOCUSED, results_of, same_dose
from reports.series import DEFOCUS as DEFOCUS_KIND
from reports.series import Collection, Series

MOST_DOSES = 4
MOST_HISTOGRAMS = 2


def sigesn(collection: Collection, cache: Path) -> Plate:
    """Fig. 2, Si–Ge–Sn with random defocus. Raises `InputError` when there is none."""
    found = collection.find(["Si", "Ge", "Sn"], preferred=[DEFOCUS_KIND])
    if not found:
        raise InputError("no Si–Ge–Sn particle (sigesn-13982, sigesn-300) is among the results")
    return plate(collection, found[0], DEFOCUS, "fig-2", "Fig. 2: amorphous Si–Ge–Sn", cache)


def copdpt(collection: Collection, cache: Path) -> Plate:
    """Fig. 3, Co–Pd–Pt in focus. Raises `InputError` when there is none."""
    found = collection.find(["Co", "Pd", "Pt"])
    if not found:
        raise InputError("no Co–Pd–Pt particle (copdpt-18356, copdpt-300) is among the results")
    return plate(collection, found[0], FOCUSED, "fig-3", "Fig. 3: amorphous Co–Pd–Pt", cache)


def plate(collection: Collection, series: Series, case: str, name: str, title: str, cache: Path) -> Plate:
    """The plate of one series, whose results the paper states under `case`."""
    method = series.choose("resire", align=("none",), angles=("nominal",)) or series.methods()[0]
    published = results_of(words.like(series), case)
    available = series.doses(method)
    doses = words.doses_shown(available, [], MOST_DOSES)
    doses = sorted({*doses, *(d for d in available if words.stated(published, d))})
    notes = words.missing_doses(series, available, published)
    paper_doses = words.doses_shown(available, published, MOST_HISTOGRAMS)
    more = [d for d in reversed(doses) if not any(same_dose(d, p) for p in paper_doses)]
    histograms = sorted([*paper_doses, *more][:MOST_HISTOGRAMS])
    pictures: list[Panel] = []
    bars: list[Panel] = []
    drawn: list[str] = []
    n_atoms: list[str] = []
    cutoff = collection.cutoff
    for dose in histograms:
        try:
            again = make_again(series, words.representative(series, method, dose), cache)
        except InputError as error:
            notes.append(f"{series.name}: no projections and intensities at {dose:g} e⁻/Å², for {error}.")
            continue
        notes += words.differs(series, again)
        if not pictures and dose == paper_doses[0]:
            pictures += triple(again)
            drawn.append(
                f"a–c, the image at {again.theta:.0f}° and {style.dose_text(dose)} e⁻/Å²: raw, denoised "
                f"and less its background, and calculated from the volume. {CAPTION} {bar_text(again)}"
            )
        label = f"Traced atoms, {style.dose_text(dose)} e⁻/Å²"
        bars.append(histogram(again, series.store.truth(), cutoff, label, wide=12 // len(histograms)))
        n_atoms.append(f"{len(again.positions):,}")
    if bars:
        drawn.append(
            f"Histograms: intensity of each traced atom (one noise replicate, n = {', '.join(n_atoms)}), "
            "filled by its true species; line: atoms given another species than their own."
        )
    groups = [
        Group(style.dose_text(dose), accuracy(series, method, dose), words.stated(published, dose))
        for dose in doses
    ]
    compared = [comparison(groups, quantity, "Dose per image (e⁻/Å²)") for quantity in QUANTITIES]
    caption = (
        f"{words.scale(series)}; {collection.names[method]}. "
        f"{' '.join(drawn)} Last three panels: accuracy by species and dose. "
        f"{words.rules(collection, series, groups)} {words.interval(series, method, doses)}"
    )
    return Plate(
        key=name,
        title=f"{title}, {series.n_atoms:,} atoms",
        panels=(
            *pictures,
            *bars,
            key([*series.elements, ALL], paper=bool(published), bound=bounded(groups)),
            *compared,
        ),
        caption=caption,
        alt="Raw, denoised and calculated projection; histograms of peak intensities by species; "
        "identification rate, precision of the species and RMSD by species and dose, beside the paper's.",
        notes=tuple(notes),
        rows=words.table([(f"{g.label} e⁻/Å²", g) for g in groups]),
    )
