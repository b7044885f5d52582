"""What methods are called in a report: the name they were asked for by, never a long list of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datasets.errors import InputError
from datasets.naming import parse_name

LONGEST = 24
"""Characters of a name that still fits beside a curve."""


def short_names(labels: Sequence[str], asked: Iterable[str] = ()) -> dict[str, str]:
    """A short name for each of `labels` (as results hold them), all different.

    `asked` are the names in the preset: `resire[published]` for `resire[n_iter=200,step=0.25]`. What is still
    too long keeps its first characters.
    """
    aliases = _aliases([name for name in asked if name not in labels])
    chosen: dict[str, str] = {}
    for label in labels:
        name = aliases.get(label, label)
        if len(name) > LONGEST:
            base = name.partition("[")[0]
            name = f"{base[: LONGEST - 3]}[…]" if "[" in name else f"{base[: LONGEST - 1]}…"
        nth, unique = 1, name
        while unique in chosen.values():
            nth += 1
            unique = f"{name} {nth}"
        chosen[label] = unique
    return chosen


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
