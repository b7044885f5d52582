"""What is done to a tilt series before it is reconstructed."""
