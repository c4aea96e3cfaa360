"""The figures of the paper, run again: one module for each."""
