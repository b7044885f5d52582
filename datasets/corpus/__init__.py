"""Particles and tilt series to train on: many, small, each one different, and cheap (no multislice).

`families` draws structures and says which family trains, validates and tests; `series` counts electrons on
linear images of them, with the faults of real acquisitions. Volumes are made of these in
`recon.neural.training`.
"""
