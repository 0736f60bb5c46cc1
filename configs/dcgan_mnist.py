"""DCGAN on MNIST at 32 pixels, 8 epochs.

Paper: Radford et al. 2015, arXiv 1511.06434. Deviation: an average of G (.99).
Command: python run.py --config=configs/dcgan_mnist.py
Measured: 3,752 steps in 17 min on two CPU cores; fid_classifier 17.8, precision
.47, recall .69. At 28 pixels (--config.data.image_size=28) G has two layers
above its first map of 7 x 7, and draws clean strokes that are often of no
digit: 43 to 58, with 2,345 or 4,690 steps, an average of .99, .999 or none,
rates that fall to 0, or five times the rate for G; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.network.name = 'dcgan'
  config.batch_size = 128
  config.num_steps = 3_752  # 8 epochs
  config.ema_decay = 0.99
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.fresh_latents = (
    False  # the published recipe: one batch of fakes a step
  )
  return config
