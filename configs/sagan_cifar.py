"""SAGAN on CIFAR-10, for two CPU cores.

Paper: Zhang et al. 2019, arXiv 1805.08318. Deviations: 32 pixels and 32
channels in both players, attention at 16 pixels, batch 64, running statistics
with a momentum of .9, and a short run.
Command: python run.py --config=configs/sagan_cifar.py
Measured: 4,000 steps in 31 min on two CPU cores beside other work, on a JPEG
copy of CIFAR-10: blurred, but of the class in colour and shape; gamma has gone
from 0 to .14 in G (average) and to -.24 in D.
"""

from ml_collections import ConfigDict

from configs import sagan_128


def get_config() -> ConfigDict:
  """Overrides of configs/sagan_128.py."""
  config = sagan_128.get_config()
  config.data.name = 'cifar10'
  config.data.image_size = 0
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.network.norm_momentum = 0.9
  config.batch_size = 64
  config.num_steps = 4_000
  config.ema_decay = 0.999
  config.steps_per_dispatch = 50
  return config
