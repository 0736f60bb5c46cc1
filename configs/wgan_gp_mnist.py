"""WGAN-GP on MNIST at 32 pixels, with the DCGAN pair.

Paper: Gulrajani et al. 2017, arXiv 1704.00028: penalty weight 10, five critic
updates, Adam (0, .9), no batch norm in the critic. Deviations: 32 base
channels, rates of 2e-4 that fall to 0 (1e-4), a moving average of G (decay
.999), and a short run.
Command: python run.py --config=configs/wgan_gp_mnist.py
Measured: 9,000 steps in 40 min on two CPU cores, seed 0; fid_classifier 6.4,
precision .58, recall .77; most samples are a clean digit. 4,500 steps came to
24.3, .49 and .58. At 28 pixels, with rates of 1e-4, 8,000 steps came to 27.3,
.32 and .61; docs/results.md.
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
  config.network.disc_norm = 'none'
  config.loss = 'wasserstein'
  config.penalty = 'wgan_gp'
  config.penalty_weight = 10.0
  config.disc_steps = 5
  config.ema_decay = 0.999
  config.batch_size = 64
  config.num_steps = 9_000
  config.log_every = 20
  config.steps_per_dispatch = 20
  base.set_optimizers(
    config,
    learning_rate=2e-4,
    b1=0.0,
    b2=0.9,
    schedule='linear',
    decay_rate=0.0,
  )
  return config
