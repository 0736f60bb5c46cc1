"""Progressive GAN at 128 pixels on a folder of images, as published.

Paper: Karras et al. 2018, arXiv 1710.10196, with the batch sizes of the
authors' code on one GPU: 600,000 images in which each size fades in, and as
many in which it trains on. Deviation: it ends there, after 6.6 million images;
the authors' code goes on at the last size to 12 million.
Command: python run.py --config=configs/progressive_128.py --config.data.dir=DIR
Measured: not run; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 128
  config.data.flip = True
  config.network.name = 'progressive'
  config.latent_dim = 512
  config.loss = 'wasserstein'
  config.penalty = 'wgan_gp'
  config.drift_weight = 0.001
  config.batch_size = 16
  config.ema_decay = 0.999
  base.set_optimizers(config, learning_rate=1e-3, b1=0.0, b2=0.99, eps=1e-8)
  base.set_growing(
    config,
    (4, 8, 16, 32, 64, 128),
    stable=600_000,
    fade=600_000,
    batch_sizes={4: 128, 8: 128, 16: 128, 32: 64, 64: 32},
  )
  return config
