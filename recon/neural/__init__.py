"""Neural networks that augment, complete and name what a tilt series leaves in doubt."""
