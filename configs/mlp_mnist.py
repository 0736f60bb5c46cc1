"""MLP GAN on MNIST: 10 epochs, four D updates to one of G.

Paper: Goodfellow et al. 2014, arXiv 1406.2661.
Command: python run.py --config=configs/mlp_mnist.py
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'mlp'
  config.batch_size = 128
  config.num_steps = 1_172  # 10 epochs of 60,000 / (128 * 4) steps
  config.disc_steps = 4
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.log_every = 20
  config.sample_every = 100
  config.checkpoint_every = 500
  return config
