"""Where the numbers of a report come from: versions, commit, machine, time; as recorded in its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.cells import CellResult


def provenance(cells: Sequence[CellResult]) -> list[tuple[str, str]]:
    """Name and value of each fact; where cells differ, every value with the number of its cells."""
    records = [cell.provenance for cell in cells]
    if not records:
        return []
    seconds = [float(r["seconds"]) for r in records if r.get("seconds") is not None]
    memory = [float(r["peak_memory"]) for r in records if r.get("peak_memory") is not None]
    times = sorted(str(r["time"]) for r in records if r.get("time"))
    facts = [
        ("cells", str(len(records))),
        ("run", times[0] if times[:1] == times[-1:] else f"{times[0]} to {times[-1]}" if times else ""),
        ("commit", _values(_commit(r.get("git")) for r in records)),
        ("machine", _values(_machine(r) for r in records)),
        ("system", _values(str(r.get("platform", "")) for r in records)),
        ("threads per cell", _values(_threads(r.get("threads")) for r in records)),
        ("seconds, all cells", f"{sum(seconds):.0f}" if seconds else ""),
        ("peak memory, largest cell", f"{max(memory) / 2**20:.0f} MiB" if memory else ""),
        ("Python", _values(str(r.get("python", "")) for r in records)),
    ]
    packages = {name for r in records for name in r.get("packages", {})}
    facts += [
        (name, _values(str(r.get("packages", {}).get(name) or "not installed") for r in records))
        for name in sorted(packages, key=lambda name: (name != "dosebench", name))
    ]
    return [(name, value) for name, value in facts if value]


def _values(values: Iterable[str]) -> str:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value or 'unknown'} ({n} cells)" for value, n in counts.items())


def _commit(git: Any) -> str:
    if not git:
        return "not from a checkout"
    return f"{git['commit'][:12]}{', with uncommitted changes' if git['dirty'] else ''}"


def _machine(record: Any) -> str:
    gpus = ", ".join(record.get("gpu") or [])
    cores = f", {record['cores']} cores" if record.get("cores") else ""
    return f"{record.get('cpu', '')}{cores}{f', {gpus}' if gpus else ''}"


def _threads(threads: Any) -> str:
    return "as the libraries choose" if threads is None else str(threads)
