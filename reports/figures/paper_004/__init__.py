"""The figures of paper 004, one file each, from our results, with the paper's numbers as marks."""
