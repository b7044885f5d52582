"""YAML cards: read, held to a schema that rejects unknown keys, and reported on in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic_core import ErrorDetails

from datasets.errors import InputError, unknown_name


class Card(BaseModel):
    """A frozen model whose unknown keys are errors; the base of every card and preset."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Card)


def parse_card(model: type[C], content: Mapping[str, Any], *, where: str, folder: Path | None = None) -> C:
    """`content` as a `model`; raises `InputError` naming `where`, the key and what was expected.

    Files that the card names are looked for in `folder`, without it in the working directory.
    """
    try:
        return model.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        # a misspelt key shows up as one unknown and one missing: the unknown one says more
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        raise InputError(f"{where}: {_sentence(model, first)}") from None


def load_card(model: type[C], path: Path) -> C:
    """The card in the YAML file `path`; raises `InputError` when missing, not YAML, or off its schema."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a card is a YAML mapping of keys to values")
    return parse_card(model, content, where=str(path), folder=path.parent)


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    location, sections = _sections(model, error["loc"])
    key = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        return f"key {key!r}: {unknown_name('key', str(location[-1]), sections[-1].model_fields)}"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    if error["type"] == "union_tag_invalid":
        tags = [tag.strip().strip("'") for tag in error["ctx"]["expected_tags"].split(",")]
        return f"key {key!r}: {unknown_name('modality', error['ctx']['tag'], tags)}"
    message = error["msg"].removeprefix("Value error, ")
    sentence = f"key {key!r}: {message[0].lower()}{message[1:]}" if key else message
    # what is wrong with a section as a whole is said in its message; its content would fill the screen
    return sentence if isinstance(error["input"], Mapping) else f"{sentence}, got {error['input']!r}"


def _sections(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[tuple[int | str, ...], list[type[BaseModel]]]:
    """The keys that lead to `location` in a file, and the models of the sections on the way, `model` first.

    Where a section may be of several kinds, the location of an error names the kind too.
    """
    keys: list[int | str] = []
    models = [model]
    kinds: Mapping[str, type[BaseModel]] = {}
    for step in location:
        if step in kinds:
            models.append(kinds[str(step)])
            kinds = {}
            continue
        keys.append(step)
        if isinstance(step, str) and step in models[-1].model_fields:
            nested, kinds = _nested(models[-1].model_fields[step].annotation)
            models += nested
    return tuple(keys), models


def _nested(annotation: Any) -> tuple[list[type[BaseModel]], dict[str, type[BaseModel]]]:
    """The model that a field holds, if it is one; or the models that it may hold, by their tags."""
    kinds = {}
    for option in (annotation, *get_args(annotation)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return [option], {}
        for mark in getattr(option, "__metadata__", ()):
            if isinstance(mark, Tag):
                kinds[mark.tag] = get_args(option)[0]
    return [], kinds
