"""DDPM on MNIST for two CPU cores: a U-Net of 16, 32 and 64 channels.

Paper: Ho et al. 2020, arXiv 2006.11239. Deviations: 28 pixels; an eighth of its
widths, three levels, one block of each, no attention but in the middle; a rate
of 1e-3 down a cosine; an average of weights of .995; no dropout.
Command: python run.py --config=configs/ddpm_mnist.py
Measured: 15 min beside other work; most samples are digits, some speckled with
50 steps of DDIM, clean with 1,000 of DDPM; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import ddpm_cifar


def get_config() -> ConfigDict:
  """Overrides of configs/ddpm_cifar.py."""
  config = ddpm_cifar.get_config()
  config.data.name = 'mnist'
  config.data.flip = False
  config.network.gen_widths = (16, 32, 64)
  config.network.blocks = 1
  config.network.norm_groups = 8
  config.network.dropout = 0.0
  config.batch_size = 64
  config.num_steps = 2_000
  config.ema_decay = 0.995
  config.gen_optimizer.learning_rate = 1e-3
  config.gen_optimizer.warmup_steps = 100
  config.gen_optimizer.schedule = 'cosine'
  config.sample_every = 500
  config.checkpoint_every = 500
  return config
