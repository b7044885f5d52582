"""From a volume to atoms: tracing and classification."""
