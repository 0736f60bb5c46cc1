"""Metrics, one a file. Each says what it measured and on how many images."""
