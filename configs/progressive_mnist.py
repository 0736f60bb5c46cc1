"""Progressive GAN on MNIST at 32 pixels, for two CPU cores.

Paper: Karras et al. 2018, arXiv 1710.10196: WGAN-GP with drift, growing from 4
pixels to 32. Deviations: maps of S pixels have 1,024 / S channels, 64 at the
most (16,384 and 512), 128 latents, batches of 64, 12,000 images in which each
size fades in and 24,000 in which it trains on (600,000 each), and an average of
100 steps (1,000), for one that reaches into an earlier stage draws nothing.
Command: python run.py --config=configs/progressive_mnist.py
Measured: 2,061 steps in 17 min on two CPU cores (80 images/s at 32 pixels): fat
strokes, few of them digits; fid_classifier 94, of the weights as they are. The
same network without growing is better at equal cost: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.network.name = 'progressive'
  config.network.channel_base = 1_024
  config.network.channel_max = 64
  config.latent_dim = 128
  config.loss = 'wasserstein'
  config.penalty = 'wgan_gp'
  config.drift_weight = 0.001
  config.batch_size = 64
  config.ema_decay = 0.99
  base.set_optimizers(config, learning_rate=1e-3, b1=0.0, b2=0.99, eps=1e-8)
  base.set_growing(config, (4, 8, 16, 32), stable=24_000, fade=12_000)
  return config
