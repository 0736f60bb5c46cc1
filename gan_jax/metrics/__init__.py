"""Metrics, one a file. Each says what it measured and on how many images.

To add one: a file here, a function of evaluation/entries.py that makes an entry
of it, and a row of `SCORES` in evaluation/scores.py; docs/extending.md is an
example.
"""
