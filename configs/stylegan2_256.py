"""StyleGAN2 at 256 pixels on a folder of images, as published.

Paper: Karras et al. 2020, arXiv 1912.04958 and, for this size, the settings
`paper256` of arXiv 2006.06676: half the channels, gamma 1, a half-life of
20,000 images. Deviation: one update with the lazy terms in it, in place of two,
and so Adam without a correction.
Command: python run.py --config=configs/stylegan2_256.py --config.data.dir=DIR
Measured: not run; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 256
  config.data.flip = True
  config.network.name = 'stylegan2'
  config.network.channel_base = 16_384
  config.network.minibatch_group = 8
  config.latent_dim = 512
  config.penalty = 'r1'
  config.penalty_weight = 1.0
  config.penalty_every = 16
  config.path_length_weight = 2.0
  config.batch_size = 64
  config.num_steps = 390_625  # 25 million images
  config.ema_decay = 0.5 ** (64 / 20e3)
  base.set_optimizers(config, learning_rate=2.5e-3, b1=0.0, b2=0.99, eps=1e-8)
  return config
