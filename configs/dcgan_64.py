"""DCGAN at 64 pixels on a folder of images: the PyTorch tutorial, with flips.

Paper: Radford et al. 2015, arXiv 1511.06434.
Command: python run.py --config=configs/dcgan_64.py --config.data.dir=IMAGES
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 64
  config.data.channels = 3
  config.data.flip = True
  config.network.name = 'dcgan'
  config.batch_size = 128
  config.num_steps = 25_000
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.fresh_latents = (
    False  # the published recipe: one batch of fakes a step
  )
  config.log_every = 50
  config.sample_every = 250
  config.steps_per_dispatch = 10
  return config
