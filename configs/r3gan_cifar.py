"""R3GAN on CIFAR-10, as published.

Paper: Huang et al. 2024, arXiv 2501.05441: paired relativistic losses with R1
and R2, classes told to both, batches of 512, all schedules along one cosine
over 20 million images. Deviations: the run ends where the cosine does; the
augmentations are those of our ADA, in full strength and without cutout.
Command: python run.py --config=configs/r3gan_cifar.py
Measured: not run; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.flip = True
  config.conditional = True
  config.network.name = 'r3gan'
  config.latent_dim = 64
  config.tricks.relativistic = 'paired'
  config.penalty = 'r1_r2'
  config.penalty_weight = 0.05
  config.penalty_weight_end = 0.005
  config.batch_size = 512
  config.num_steps = 39_062
  config.ema_decay_end = 0.5 ** (512 / 5e6)
  config.b2_end = 0.99
  config.tricks.augment = 'ada'
  config.tricks.augment_end = 0.55
  base.set_optimizers(
    config, b1=0.0, b2=0.9, schedule='cosine', decay_rate=0.25
  )
  return config
