"""Names become objects, once: overrides, checks, sweeps, build."""
