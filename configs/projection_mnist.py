"""SNGAN with projection on MNIST at 32 pixels, for two CPU cores.

Paper: Miyato and Koyama 2018, arXiv 1802.05637: conditional batch norm in G,
the label's embedding times D's features in its logit. Deviations: 32 channels
in G (256) and D (128), one update of D in each step (5) at twice G's rate, a
moving average of G (decay .999), and a short run.
Command: python run.py --config=configs/projection_mnist.py
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import sngan_fashion


def get_config() -> ConfigDict:
  """Overrides of configs/sngan_fashion.py."""
  config = sngan_fashion.get_config()
  config.data.name = 'mnist'
  config.conditional = True
  return config
