"""SNGAN on Fashion-MNIST at 32 pixels, for two CPU cores.

Paper: Miyato et al. 2018, arXiv 1802.05957. Deviations: 32 channels in G (256)
and D (128), one update of D in each step (5) at twice G's rate, a moving
average of G (decay .999), and a short run.
Command: python run.py --config=configs/sngan_fashion.py
Measured: 4,000 steps in 30 min on two CPU cores; of 10,000 samples (average)
fid_classifier 85.0, precision .42, recall .16. All kinds of clothes, right in
outline and rough inside.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'fashion_mnist'
  config.data.image_size = 32
  config.network.name = 'sngan'
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.latent_dim = 128
  config.loss = 'hinge'
  config.batch_size = 64
  config.num_steps = 4_000
  config.ema_decay = 0.999
  base.set_optimizers(config, b1=0.0, b2=0.9, schedule='linear', decay_rate=0.0)
  config.disc_optimizer.learning_rate = 4e-4
  return config
