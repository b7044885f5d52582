"""Structure from diffraction patterns: multislice electron tomography and ptychography."""
