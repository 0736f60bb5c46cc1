"""Searching for the keys of a better run, on Optuna."""
