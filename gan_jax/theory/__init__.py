"""Exact mathematics on densities."""
