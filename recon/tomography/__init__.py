"""Tomographic reconstruction: from projections to a volume."""
