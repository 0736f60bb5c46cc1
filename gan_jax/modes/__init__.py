"""What a command does: one file per `--mode`, with a function of its name.

This file imports none of them, so that help and mistakes come at once.
"""

MODES = (
  'train',
  'sample',
  'interpolate',
  'evaluate',
  'diagnose',
  'compare',
  'replay',
)
