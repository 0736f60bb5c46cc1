"""A run's folder: layout, checkpoints, rows, and a run read back."""
