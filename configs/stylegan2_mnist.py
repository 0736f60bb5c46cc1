"""Conditional StyleGAN2 on MNIST at 32 pixels, for two CPU cores.

Paper: Karras et al. 2020, arXiv 1912.04958: softplus losses, lazy R1 (every 16
steps). Deviations: maps of S pixels have 512 / S channels, 64 at the most; a
mapping of 2 layers, styles of 128; one update with R1 in it, and so Adam as it
is; R1's gamma 1 (10); batches of 32; no mixing and no path length, as in the
authors' config for CIFAR-10 (arXiv 2006.06676). Without labels G draws little
but one digit in this time: docs/results.md.
Command: python run.py --config=configs/stylegan2_mnist.py
Measured: 4,000 steps in 11 min (205 images/s) on two CPU cores; the digit asked
for in 97.7 % of 10,000, fid_classifier 28.3, precision .71, recall .07. With an
average of .998, 4,400 steps: 98.7 %, 27.3, .76, .08.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.conditional = True
  config.network.name = 'stylegan2'
  config.network.channel_base = 512
  config.network.channel_max = 64
  config.network.mapping_depth = 2
  config.network.style_dim = 128
  config.network.mixing = 0.0
  config.latent_dim = 128
  config.penalty = 'r1'
  config.penalty_weight = 1.0
  config.penalty_every = 16
  config.batch_size = 32
  config.num_steps = 4_000
  config.ema_decay = 0.995
  base.set_optimizers(config, learning_rate=2e-3, b1=0.0, b2=0.99, eps=1e-8)
  return config
