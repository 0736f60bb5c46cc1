"""gan_jax: generative adversarial networks in JAX, from theory to images.

run = gan_jax.load('runs/mlp_digits')
images = run.sample(64, seed=0)  # uint8 [64, H, W, C]
gan_jax.score(images, real_images)  # {'fid_random': {'value': ...}}
gan_jax.train(config, 'runs/mine')  # keys: configs/base.py
"""

import importlib
from typing import Any

__version__ = '0.1.0'
__all__ = ['load', 'score', 'train']

_WHERE = {
  'load': 'gan_jax.workdir.trained',
  'score': 'gan_jax.evaluation.arrays',
  'train': 'gan_jax.modes.train',
}


def __getattr__(name: str) -> Any:
  """Imports what is used when it is used: `import gan_jax` stays light."""
  if name in _WHERE:
    return getattr(importlib.import_module(_WHERE[name]), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
