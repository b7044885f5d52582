"""What methods are called in a report: the name they were asked for by, never a long list of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datasets.errors import InputError
from datasets.naming import parse_name

LONGEST = 26
"""Characters of a name that still fits beside a curve."""


def short_names(labels: Sequence[str], asked: Iterable[str] = ()) -> dict[str, str]:
    """A short name for each of `labels` (as results hold them), all different.

    `asked` are the names in the preset: `resire[published]` for `resire[n_iter=200,step=0.25]`. What is still
    too long is said by its values alone, `fista[reprojection,refine]`, as many as fit.
    """
    aliases = _aliases([name for name in asked if name not in labels])
    chosen: dict[str, str] = {}
    for label in labels:
        name = aliases.get(label, label)
        if len(name) > LONGEST:
            name = _values_only(name)
        nth, unique = 1, name
        while unique in chosen.values():
            nth += 1
            unique = f"{name} {nth}"
        chosen[label] = unique
    return chosen


def _values_only(name: str) -> str:
    """`base[value,value]` in at most `LONGEST` characters, an ellipsis for what does not fit."""
    base, bracket, rest = name.partition("[")
    if not bracket or len(base) > LONGEST - 3:
        return f"{base[: LONGEST - 1]}…"
    values = [part.rpartition("=")[2] for part in rest.removesuffix("]").split(",")]
    for kept in range(len(values), -1, -1):
        shown = values[:kept] if kept == len(values) else [*values[:kept], "…"]
        short = f"{base}[{','.join(shown)}]"
        if len(short) <= LONGEST:
            break
    return short


def _aliases(asked: Sequence[str]) -> dict[str, str]:
    """Label to the name that stands for it, for names with a variant."""
    from recon import registry

    aliases: dict[str, str] = {}
    for name in asked:
        try:
            if "variant" in parse_name(name)[1]:
                aliases[registry.get(name).label] = name
        except InputError:  # a method of a package that is not installed here
            continue
    return aliases
