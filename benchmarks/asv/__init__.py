"""The asv suite (`asv.conf.json`): seconds, bytes and tracked errors of this package, commit by commit.

asv reports upward steps only, so everything here is better when lower. Inputs are seeded; one thread, so that
a curve does not depend on who else uses the machine's cores.
"""

import os

for _library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # before NumPy, PyTorch and Numba are imported
os.environ.setdefault("DOSEBENCH_DEVICE", "cpu")
