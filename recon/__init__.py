"""How atoms are recovered: reconstructors, from a measurement to atoms, and their algorithms."""
