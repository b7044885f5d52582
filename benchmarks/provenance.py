"""Where a number comes from: packages, commit, machine, threads."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "dosebench",
    "abtem",
    "ase",
    "dask",
    "distributed",
    "numba",
    "numpy",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "torch",
    "xarray",
    "zarr",
)


@cache
def software() -> dict[str, Any]:
    """Python, package versions (null: not installed), and the git commit this code is at.

    `git` is null when the code is not a checkout; else `commit`, and `dirty`: whether tracked files differ.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": _git(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    here = Path(__file__)
    try:
        # installed inside somebody else's checkout, this file is not tracked there, and that commit not ours
        _run_git(here.parent, "ls-files", "--error-unmatch", here.name)
        commit = _run_git(here.parent, "rev-parse", "HEAD").strip()
        changes = _run_git(here.parent, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changes.strip())}


def _run_git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@cache
def processor() -> str:
    """The model of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def hardware() -> dict[str, Any]:
    """CPU model and cores, and the GPUs that this process has in use (empty when it has not touched any)."""
    torch = sys.modules.get("torch")
    gpus: list[str] = []
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": processor(), "cores": os.cpu_count(), "gpu": gpus}


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
