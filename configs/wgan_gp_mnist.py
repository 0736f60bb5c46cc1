"""WGAN-GP on MNIST at 28 pixels, with the DCGAN pair.

Paper: Gulrajani et al. 2017, arXiv 1704.00028: penalty weight 10, five critic
updates, Adam 1e-4 (0, .9), no batch norm in the critic. Deviations: 32 base
channels, a moving average of G (decay .999), and a short run.
Command: python run.py --config=configs/wgan_gp_mnist.py
Measured: 8,000 steps in 57 min on two CPU cores that much other work shared
(1,718 images/s in the median); legible digits, all classes evenly. Scores:
docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'dcgan'
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.network.disc_norm = 'none'
  config.loss = 'wasserstein'
  config.penalty = 'wgan_gp'
  config.penalty_weight = 10.0
  config.disc_steps = 5
  config.ema_decay = 0.999
  config.batch_size = 64
  config.num_steps = 8_000
  config.log_every = 20
  config.steps_per_dispatch = 20
  base.set_optimizers(config, learning_rate=1e-4, b1=0.0, b2=0.9)
  return config
