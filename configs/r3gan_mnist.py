"""R3GAN on MNIST at 16 pixels, for two CPU cores.

Paper: Huang et al. 2024, arXiv 2501.05441: paired relativistic losses with R1
and R2; along one cosine both rates fall, the penalties' gamma falls, beta2 and
the average's half-life rise, and so does the probability of augmentation.
Deviations: maps of S pixels have 512 / S channels, 64 at the most, with 8
groups (768 and 96), one block of each size (2), batches of 64 (512), rates from
.001 (.0002), gamma from .5 to .05, augmentation up to .2, a half-life of 4,400
images (5 million), and a cosine of 500 steps (20 million images).
Command: python run.py --config=configs/r3gan_mnist.py
Measured: five seeds, none collapsed, 5 min each on two CPU cores beside other
work: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 16
  config.network.name = 'r3gan'
  config.network.channel_base = 512
  config.network.channel_max = 64
  config.network.blocks = 1
  config.network.groups = 8
  config.latent_dim = 64
  config.tricks.relativistic = 'paired'
  config.penalty = 'r1_r2'
  config.penalty_weight = 0.5
  config.penalty_weight_end = 0.05
  config.batch_size = 64
  config.num_steps = 500
  config.ema_decay_end = 0.99  # a half-life of 69 steps
  config.b2_end = 0.99
  config.tricks.augment = 'ada'
  config.tricks.augment_end = 0.2
  base.set_optimizers(
    config,
    learning_rate=1e-3,
    b1=0.0,
    b2=0.9,
    schedule='cosine',
    decay_rate=0.25,
  )
  return config
