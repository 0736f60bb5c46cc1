"""StyleGAN2 on MNIST at 32 pixels, for two CPU cores.

Paper: Karras et al. 2020, arXiv 1912.04958: softplus losses, lazy R1 (every 16
steps) and path length (every 4). Deviations: maps of S pixels have 1,024 / S
channels, 128 at the most; a mapping of 2 layers, styles of 128; one update with
the lazy terms in it, and so Adam as it is; R1's gamma by the rule of
arXiv 2006.06676, .0002 x 32^2 / batch; batches of 32.
Command: python run.py --config=configs/stylegan2_mnist.py
Measured: not trained yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.network.name = 'stylegan2'
  config.network.channel_base = 1_024
  config.network.channel_max = 128
  config.network.mapping_depth = 2
  config.network.style_dim = 128
  config.network.mixing = 0.9
  config.latent_dim = 128
  config.penalty = 'r1'
  config.penalty_weight = 0.0064
  config.penalty_every = 16
  config.path_length_weight = 2.0
  config.batch_size = 32
  config.num_steps = 4_000
  config.ema_decay = 0.998
  base.set_optimizers(config, learning_rate=2e-3, b1=0.0, b2=0.99, eps=1e-8)
  return config
