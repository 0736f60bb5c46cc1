"""Wasserstein GAN with weight clipping on CIFAR-10, DCGAN networks.

Paper: Arjovsky et al. 2017, arXiv 1701.07875, Algorithm 1: clip .01, five
critic updates, RMSprop 5e-5. Deviation: always five, where the authors' code
takes 100 critic updates at the start and every 500 steps.
Command: python run.py --config=configs/wgan_cifar.py
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.network.name = 'dcgan'
  config.loss = 'wasserstein'
  config.weight_clip = 0.01
  config.disc_steps = 5
  config.batch_size = 64
  config.num_steps = 50_000
  # optax takes the root of v + eps, the paper's code adds 1e-8 to the root.
  base.set_optimizers(
    config, name='rmsprop', learning_rate=5e-5, decay=0.99, eps=1e-16
  )
  config.log_every = 50
  config.sample_every = 200
  config.checkpoint_every = 400
  config.steps_per_dispatch = 10
  return config
