"""The errors a user can cause, each one sentence that says what and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input: a file, a field or a name that is not what was expected; the command exits with code 2."""


class StoreError(InputError):
    """A store that is missing, damaged, or written by a newer schema; it is never read as data."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among `known`, answering with the nearest ones (all, when none is
    near).
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return InputError(f"unknown {kind} {name!r}; did you mean {' or '.join(map(repr, near))}?")
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(names) or 'none'}")
