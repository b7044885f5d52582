"""Alignment, intensity normalisation and angle refinement of tilt series."""
