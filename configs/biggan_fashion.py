"""BigGAN on Fashion-MNIST at 32 pixels, for two CPU cores.

Paper and deviations: as biggan_mnist.
Command: python run.py --config=configs/biggan_fashion.py
Measured: not trained yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import biggan_mnist


def get_config() -> ConfigDict:
  """Overrides of configs/biggan_mnist.py."""
  config = biggan_mnist.get_config()
  config.data.name = 'fashion_mnist'
  return config
