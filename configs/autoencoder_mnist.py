"""Auto-encoder on MNIST, of the widths of configs/vae_mnist.py.

Paper: Hinton and Salakhutdinov 2006 (Science 313), without pre-training.
Command: python run.py --config=configs/autoencoder_mnist.py
Its codes follow no prior, so what is drawn from one is no digit.
"""

from ml_collections import ConfigDict

from configs import vae_mnist


def get_config() -> ConfigDict:
  """Overrides of configs/vae_mnist.py."""
  config = vae_mnist.get_config()
  config.game = 'autoencoder'
  return config
