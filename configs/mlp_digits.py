"""The default: a small MLP GAN on 8x8 handwritten digits, in under a minute.

Paper: Goodfellow et al. 2014, arXiv 1406.2661, on scikit-learn's digits.
Command: python run.py
Measured: 10,000 steps in 20 s on two shared CPU cores, 25 s the first time;
digits of all kinds, some blurred.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.latent_dim = 32
  config.num_steps = 10_000
  config.batch_size = 64
  config.network.gen_widths = (128, 256)
  config.network.disc_widths = (256, 128)
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.sample_every = 1_000
  config.checkpoint_every = 1_000
  return config
