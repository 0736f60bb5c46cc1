"""Feature networks: what distances between sets of images are measured in."""

from gan_jax.features.network import (
  FeatureNetwork,
  ImageSet,
  extract,
  from_callable,
  image_set,
)

__all__ = [
  'FeatureNetwork',
  'ImageSet',
  'extract',
  'from_callable',
  'image_set',
]
