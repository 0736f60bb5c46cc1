"""Least-squares GAN on MNIST with the DCGAN networks, 5 epochs.

Paper: Mao et al. 2016, arXiv 1611.04076.
Command: python run.py --config=configs/lsgan_mnist.py
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'dcgan'
  config.loss = 'least_squares'
  config.batch_size = 128
  config.num_steps = 2_345  # 5 epochs
  base.set_optimizers(config, b1=0.5, b2=0.999)
  return config
