"""The figures of paper 003, one file each, from our results, with the paper's numbers as marks."""
