"""What methods are called in a report: the name they were asked for by, never a long list of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from datasets.errors import InputError
from datasets.naming import parse_name

LONGEST = 26
"""Characters of a name that still fits beside a curve."""


def short_names(labels: Sequence[str], asked: Iterable[str] = ()) -> dict[str, str]:
    """A short name for each of `labels` (as results hold them), all different.

    `asked` are the names in the preset: `resire[published]` for `resire[n_iter=200,step=0.25]`. Where names
    that are still too long vary one that is there too, what they share with it is an ellipsis,
    `fista[…,denoise=none]`; what does not fit even then is said by its values alone,
    `fista[reprojection,refine]`, as many as fit.
    """
    aliases = _aliases([name for name in asked if name not in labels])
    names = {label: aliases.get(label, label) for label in labels}
    shared = _shared([name for name in names.values() if len(name) > LONGEST])
    shared = {base: parts for base, parts in shared.items() if (base, parts) in map(_options, names.values())}
    chosen: dict[str, str] = {}
    for label, name in names.items():
        if len(name) > LONGEST:
            name = _values_only(_without(name, shared))
        nth, unique = 1, name
        while unique in chosen.values():
            nth += 1
            unique = f"{name} {nth}"
        chosen[label] = unique
    return chosen


def _parts(name: str) -> tuple[str, list[str]]:
    base, _, rest = name.partition("[")
    return base, rest.removesuffix("]").split(",")


def _options(name: str) -> tuple[str, set[str]]:
    base, parts = _parts(name)
    return base, set(parts)


def _shared(names: Sequence[str]) -> dict[str, set[str]]:
    """By method, the `key=value` that all of its `names` have; none where there is but one name."""
    options: dict[str, list[set[str]]] = {}
    for name in names:
        base, parts = _parts(name)
        options.setdefault(base, []).append(set(parts))
    return {base: set.intersection(*own) for base, own in options.items() if len(own) > 1}


def _without(name: str, shared: dict[str, set[str]]) -> str:
    """`base[…,key=value]` without what is shared, where that leaves anything."""
    base, parts = _parts(name)
    own = [part for part in parts if part not in shared.get(base, ())]
    return f"{base}[{','.join(['…', *own])}]" if own and len(own) < len(parts) else name


def _values_only(name: str) -> str:
    """`base[value,value]` in at most `LONGEST` characters, an ellipsis for what does not fit; what is short
    enough as it is stays.
    """
    if len(name) <= LONGEST:
        return name
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
