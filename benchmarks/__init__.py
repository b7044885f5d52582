"""How good each reconstruction is, at what dose: the grid of cells, the metrics, the thresholds."""
