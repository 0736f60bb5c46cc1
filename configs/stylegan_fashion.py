"""StyleGAN on Fashion-MNIST at 32 pixels, for two CPU cores.

Paper: Karras et al. 2019, arXiv 1812.04948: softplus losses with R1, growing
from 8 pixels, styles mixed with probability .9. Deviations: maps of S pixels
have 2,048 / S channels, 128 at the most (16,384 and 512); a mapping of 4 layers
(8), styles and latents of 128 (512); R1's gamma .1 (10, at 1,024 pixels);
batches of 64, and 12,000 images in which each size fades in and 24,000 in which
it trains on (600,000 each).
Command: python run.py --config=configs/stylegan_fashion.py
Measured: 1,499 steps (96,000 images) in some 70 min on two CPU cores beside
other work: blurred tops, some nearly black, no shoes, bags or trousers;
fid_classifier 174, precision .22, recall .001. Too short a run by far: the
paper has 25 million images. A longer one, or labels, was not tried.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'fashion_mnist'
  config.data.image_size = 32
  config.network.name = 'stylegan'
  config.network.channel_base = 2_048
  config.network.channel_max = 128
  config.network.mapping_depth = 4
  config.network.style_dim = 128
  config.latent_dim = 128
  config.penalty = 'r1'
  config.penalty_weight = 0.1
  config.batch_size = 64
  config.ema_decay = 0.996
  base.set_optimizers(config, learning_rate=1e-3, b1=0.0, b2=0.99, eps=1e-8)
  base.set_growing(config, (8, 16, 32), stable=24_000, fade=12_000)
  return config
