"""StyleGAN2 with ADA on CIFAR-10, as published.

Paper: Karras et al. 2020, arXiv 2006.06676, appendix D.1: D without shortcuts,
neither path length nor mixing, a mapping of 2 layers, gamma .01. Deviations:
one update with the lazy penalty in it, in place of two, and so Adam without a
correction; the average's half-life, 500,000 images, does not grow at first.
Command: python run.py --config=configs/stylegan2_ada_cifar.py
Measured: not run; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.conditional = True
  config.network.name = 'stylegan2'
  config.network.critic = 'plain'
  config.network.mapping_depth = 2
  config.network.mixing = 0.0
  config.network.minibatch_group = 32
  config.latent_dim = 512
  config.penalty = 'r1'
  config.penalty_weight = 0.01
  config.penalty_every = 16
  config.batch_size = 64
  config.num_steps = 1_562_500  # 100 million images
  config.ema_decay = 0.5 ** (64 / 500e3)
  config.tricks.augment = 'ada'
  base.set_optimizers(config, learning_rate=2.5e-3, b1=0.0, b2=0.99, eps=1e-8)
  return config
