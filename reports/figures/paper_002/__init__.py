"""Figures for papers 001 and 002: networks beside workflows and the likelihood, on unseen materials."""

"saw."
