"""Projectors: the linear map from a volume to its tilt series, with exact adjoints."""
