"""Files in and out: measurements, atoms and volumes from elsewhere, and back."""

from datasets.formats.atoms import read_atoms, write_atoms
from datasets.formats.importing import import_measurement
from datasets.formats.measurement import read_measurement, write_measurement
from datasets.formats.outputs import check_writable
from datasets.formats.volume import read_volume, write_volume

__all__ = [
    "check_writable",
    "import_measurement",
    "read_atoms",
    "read_measurement",
    "read_volume",
    "write_atoms",
    "write_measurement",
    "write_volume",
]
