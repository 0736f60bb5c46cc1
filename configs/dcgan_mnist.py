"""DCGAN on MNIST at 28 pixels, 5 epochs.

Paper: Radford et al. 2015, arXiv 1511.06434.
Command: python run.py --config=configs/dcgan_mnist.py
Measured: 2,345 steps in 36 min on two CPU cores that much other work shared
(540 images/s on the idle machine); clean strokes, some of no digit. Scores:
docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'dcgan'
  config.batch_size = 128
  config.num_steps = 2_345  # 5 epochs
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.fresh_latents = (
    False  # the published recipe: one batch of fakes a step
  )
  return config
