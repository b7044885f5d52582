"""What there is, in words: the rows of `dosebench list`, the page of `info`, the lines of `score`."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError, unknown_name

if TYPE_CHECKING:
    from datasets.catalog import StructureCard
    from datasets.structures.validate import Row


def entries(kind: str) -> list[tuple[str, str]]:
    """(name, title) of everything of a kind: datasets, structures, reconstructors, metrics or presets."""
    if kind == "datasets":
        from datasets.catalog import dataset_names, load_dataset

        return [(name, load_dataset(name).title) for name in dataset_names()]
    if kind == "structures":
        from datasets.catalog import load_structure, structure_names

        return [(name, load_structure(name).title) for name in structure_names()]
    if kind == "metrics":
        from benchmarks.metrics.cards import metric_cards

        return [(card.key, f"{card.label}{_unit(card.unit, ' [{}]')}") for card in metric_cards().values()]
    if kind == "presets":
        from benchmarks.preset import load_preset, preset_names

        return [(name, load_preset(name).title) for name in preset_names()]
    return [(name, _reconstructor_title(name)) for name in _reconstructor_names()]


def _reconstructor_names() -> list[str]:
    from recon.registry import reconstructor_names

    return reconstructor_names()


def _reconstructor_title(name: str) -> str:
    """The first line of its docstring, read from the source: importing every algorithm would take seconds."""
    from recon.registry import targets

    module, _, attribute = targets()[name].partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except ImportError as error:
        return f"not available: {error}"
    if spec is None or spec.origin is None:
        return f"not available: there is no module {module!r}"
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return f"not available: there is no class {attribute!r} in {module!r}"


def describe(name: str) -> str:
    """Everything there is to say about one name. Raises `InputError` for a name that is nowhere."""
    base = name.partition("[")[0]
    known = {
        kind: [key for key, _ in entries(kind)] for kind in ("datasets", "structures", "metrics", "presets")
    }
    known["reconstructors"] = _reconstructor_names()
    if base in known["reconstructors"] or ":" in base:
        return _describe_reconstructor(name)
    if base in known["metrics"]:
        from benchmarks.metrics.cards import get_metric

        return _page(base, get_metric(base).label, get_metric(base).model_dump(exclude={"key", "label"}))
    if base in known["presets"]:
        from benchmarks.preset import load_preset

        preset = load_preset(base)
        return _page(base, preset.title, preset.model_dump(exclude={"name", "title"}))
    if base in known["datasets"] or base.endswith((".yaml", ".yml")):
        from datasets.catalog import load_dataset, structure_card_of
        from datasets.catalog.overrides import option_names

        card = load_dataset(name)
        absent = {"imperfections": set(type(card.imperfections).model_fields) - card.possible_imperfections()}
        page = _page(card.name, card.title, card.model_dump(exclude={"name": True, "title": True, **absent}))
        page += "\n" + "\n".join(_rows({f"options ({base}[key=value,…])": option_names(card)}, ""))
        structure = structure_card_of(card.structure)
        return page if structure is None else f"{page}\n\n{_describe_structure(structure)}"
    if base in known["structures"]:
        from datasets.catalog import load_structure

        return _describe_structure(load_structure(name))
    raise unknown_name("name", base, {key for keys in known.values() for key in keys})


def _describe_structure(card: StructureCard) -> str:
    content = card.model_dump(exclude={"name", "title", "expected"})
    page = _page(f"structure {card.name}", card.title, content)
    return f"{page}\nexpected: {', '.join(card.expected) or '-'}" + (
        f"\n  (dosebench info {card.name} --validate measures these)" if card.expected else ""
    )


def structure_of(name: str) -> StructureCard:
    """The structure card called `name`, or that of the dataset `name`. Raises `InputError`."""
    from datasets.catalog import load_dataset, load_structure, structure_card_of, structure_names
    from datasets.naming import parse_name

    base, options = parse_name(name)
    known = {key for kind in ("datasets", "structures") for key, _ in entries(kind)}
    if base in structure_names() and set(options) <= {"seed"}:
        return load_structure(name)
    if base not in known and not base.endswith((".yaml", ".yml")):
        raise unknown_name("structure or dataset", base, known)
    card = structure_card_of(load_dataset(name).structure)
    if card is None:
        raise InputError(f"{name}: no structure card has this dataset's recipe, so nothing is expected of it")
    return card


def validation_lines(name: str, rows: Sequence[Row]) -> list[str]:
    """The table of a validation, aligned, and a sentence that sums it up."""
    if not rows:
        return [f"{name}: its card expects nothing, so there is nothing to validate."]
    header = ("quantity", "value", "range", "unit", "n", "", "source")
    cells = [header]
    for row in rows:
        value = "-" if math.isnan(row.value) else f"{row.value:.5g}"
        if row.error is not None:
            value += f" ± {row.error:.2g}"
        limits = f"{row.low:.5g}" if row.low == row.high else f"{row.low:.5g} – {row.high:.5g}"
        source = f"{row.problem}; {row.source}" if row.problem else row.source
        mark = "ok" if row.within else "OUT"
        cells.append((row.quantity, value, limits, row.unit, str(row.n), mark, source))
    widths = [max(len(line[k]) for line in cells) for k in range(len(header) - 1)]
    lines = []
    for line in cells:
        aligned = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=True)]
        lines.append("  ".join([*aligned, line[-1]]).rstrip())
    outside = [row.quantity for row in rows if not row.within]
    inside = f"{name}: {len(rows) - len(outside)} of {len(rows)} quantities lie in their ranges"
    return [*lines, "", inside + (f"; outside: {', '.join(outside)}." if outside else ".")]


def _describe_reconstructor(name: str) -> str:
    from recon import registry

    reconstructor = registry.get(name)
    cls = type(reconstructor)
    lines = [reconstructor.label, "", inspect.getdoc(cls) or "", "", f"reference: {cls.reference or '-'}"]
    lines += [f"version: {cls.version}", "", "parameters (NAME[key=value,…]):"]
    for field in dataclasses.fields(cls):
        lines.append(f"  {field.name} = {getattr(reconstructor, field.name)}")
    if cls.variants:
        lines += ["", "variants (NAME[variant]):"]
        lines += [
            f"  {key}: {', '.join(f'{k}={v}' for k, v in values.items())}"
            for key, values in cls.variants.items()
        ]
    return "\n".join(lines)


def _page(name: str, title: str, content: Mapping[str, object]) -> str:
    return "\n".join([f"{name}: {title}", "", *_rows(content, "")])


def _rows(content: Mapping[str, object], indent: str) -> list[str]:
    rows: list[str] = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += [f"{indent}{key}:", *_rows(value, indent + "  ")]
            continue
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        wrapped = textwrap.wrap(f"{key}: {text}", 96 - len(indent)) or [f"{key}:"]
        rows += [f"{indent}{'' if i == 0 else '  '}{line}" for i, line in enumerate(wrapped)]
    return rows


def score_lines(scores: Mapping[str, float]) -> list[str]:
    """One line per metric: label, value, unit."""
    from benchmarks.metrics.cards import get_metric

    lines = []
    for variable, value in scores.items():
        card = get_metric(variable)
        element = variable.removeprefix(card.key).strip("_")
        text = "-" if math.isnan(value) else f"{value:.4g}"
        lines.append(
            f"{card.label + (f' ({element})' if element else ''):<44} {text:>10}{_unit(card.unit, ' {}')}"
        )
    return lines


def _unit(unit: str, form: str) -> str:
    """A unit in its place; nothing for pure numbers, whose unit in the cards is 1."""
    return "" if unit == "1" else form.format(unit)
