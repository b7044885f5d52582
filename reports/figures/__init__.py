"""One file per figure; all of them draw from the payload, in one style."""
