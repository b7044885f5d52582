"""Names with parameters: `resire[n_iter=50,denoise=gaussian]`, `cuau-150[seed=3]`."""

from __future__ import annotations

import re

import yaml

from datasets.errors import InputError

Value = str | int | float | bool | None

_NAME = re.compile(r"^\s*(?P<base>[^\[\]]+?)\s*(?:\[(?P<options>[^\[\]]*)\])?\s*$")


def parse_name(name: str) -> tuple[str, dict[str, Value]]:
    """Split `base[key=value,…]` into its base and its options.

    Values are read as YAML scalars; a bare word means `variant=word`. Raises `InputError`.
    """
    match = _NAME.match(name)
    if match is None:
        raise InputError(f"cannot read the name {name!r}; write NAME or NAME[key=value,key=value]")
    options: dict[str, Value] = {}
    for part in filter(None, (part.strip() for part in (match["options"] or "").split(","))):
        key, equals, text = part.partition("=")
        key, text = (key.strip(), text.strip()) if equals else ("variant", part)
        if key in options:
            raise InputError(f"{name!r}: {key!r} is given twice")
        options[key] = _scalar(name, text)
    return match["base"], options


def _scalar(name: str, text: str) -> Value:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(value, str):
        try:
            value = float(value)  # YAML 1.1 reads 1e5 as a word
        except ValueError:
            return text
    if value is not None and not isinstance(value, (int, float, bool)):
        raise InputError(f"{name!r}: {text!r} is not a number, a word, true or false")
    return value


DRAWS = ("seed", "imperfection_seed", "phonon_seed", "frame")
"""Options that ask for another draw of the same thing; frames of a series are independent."""


def family(name: str) -> str:
    """What siblings that differ in a draw have in common: `cuau-150[n_tilts=10,seed=3]` is one of the
    `cuau-150[n_tilts=10]`. The engine is said apart, wherever datasets are grouped.
    """
    base, options = parse_name(name)
    return format_name(base, {k: v for k, v in options.items() if k not in (*DRAWS, "engine")})


def format_name(base: str, options: dict[str, Value]) -> str:
    """The inverse of `parse_name`, with options in alphabetical order."""
    if not options:
        return base
    text = (
        f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in options.items()
    )
    return f"{base}[{','.join(sorted(text))}]"
