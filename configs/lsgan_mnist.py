"""Least-squares GAN on MNIST at 32 pixels with the DCGAN pair, 8 epochs.

Paper: Mao et al. 2016, arXiv 1611.04076. Deviations: 32 base channels, and an
average of G (.99).
Command: python run.py --config=configs/lsgan_mnist.py
Measured: 3,752 steps in 8 min on two CPU cores, three seeds: fid_classifier
24.3 +- 1.6, precision .45, recall .63; most samples are a digit.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.network.name = 'dcgan'
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.loss = 'least_squares'
  config.batch_size = 128
  config.num_steps = 3_752  # 8 epochs
  config.ema_decay = 0.99
  base.set_optimizers(config, b1=0.5, b2=0.999)
  return config
