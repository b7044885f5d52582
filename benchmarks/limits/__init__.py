"""What physics allows: the Cramér–Rao bound on atom positions from the counts of a tilt series."""
