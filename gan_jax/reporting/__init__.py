"""Pictures, curves, tables."""
