"""DCGAN on CIFAR-10 at 32 pixels.

Paper: Radford et al. 2015, arXiv 1511.06434.
Command: python run.py --config=configs/dcgan_cifar.py
One epoch is 782 steps: --config.num_steps=782.
Measured: one epoch of a JPEG copy of CIFAR-10 in 5 min at 149 images/s on two
CPU cores that other work shared; colours and coarse shapes with a
checkerboard. The 50 epochs have not been run.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.flip = True
  config.network.name = 'dcgan'
  config.batch_size = 64
  config.num_steps = 39_100  # 50 epochs
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.fresh_latents = (
    False  # the published recipe: one batch of fakes a step
  )
  config.log_every = 50
  config.sample_every = 200
  config.checkpoint_every = 400
  config.steps_per_dispatch = 10
  return config
