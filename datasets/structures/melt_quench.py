"""Melt and quench: the parameters and the schedule of every metal that is made a glass."""

from __future__ import annotations

from pydantic import Field

from datasets.cards import Card
from datasets.structures.molecular_dynamics import Stage


class MeltQuench(Card):
    """How a crystal is molten and its liquid frozen."""

    melt_temperature: float = Field(default=2500.0, gt=0)
    """Temperature of the melt [K]; well above melting, below where atoms leave the surface."""
    melt_time: float = Field(default=10.0, ge=0)
    """Time in the melt [ps]: atoms must move by several distances to forget the lattice they start from."""
    quench_rate: float = Field(default=5e13, gt=0)
    """Rate of cooling [K/s]."""
    temperature: float = Field(default=300.0, ge=0)
    """Temperature at which the quench ends [K]; a minimisation follows."""
    timestep: float = Field(default=3.0, gt=0, le=4)
    """Time step [fs]."""

    def schedule(self) -> list[Stage]:
        """Melt, quench, minimise."""
        per_picosecond = 1000 / self.timestep
        quench = (self.melt_temperature - self.temperature) / self.quench_rate * 1e12
        return [
            Stage("melt", round(self.melt_time * per_picosecond), self.melt_temperature, ensemble="langevin"),
            Stage("quench", round(quench * per_picosecond), self.melt_temperature, self.temperature),
            Stage("relax", 1000, ensemble="minimise"),
        ]
