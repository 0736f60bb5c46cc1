"""gan_jax: generative adversarial networks in JAX, from theory to images.

sampler = gan_jax.load('runs/mlp_digits')
images = sampler.sample(64, seed=0)  # uint8 [64, H, W, C]
"""

from typing import Any

__version__ = '0.1.0'
__all__ = ['load']


def __getattr__(name: str) -> Any:
  """Imports `load` when it is first used: `import gan_jax` stays light."""
  if name == 'load':
    from gan_jax.workdir.trained import load

    return load
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
