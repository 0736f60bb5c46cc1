"""WGAN-GP on CIFAR-10 with the residual pair.

Paper: Gulrajani et al. 2017, arXiv 1704.00028, appendix F: penalty weight 10,
five critic updates, Adam 2e-4 (0, .9) decaying linearly to zero over 100,000
steps, batch 64, latents 128. Deviations: G sees batches of 64, where the
authors' code gives it 128; images are flipped and not dequantised.
Command: python run.py --config=configs/wgan_gp_cifar.py
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.flip = True
  config.network.name = 'wgan_gp_resnet'
  config.latent_dim = 128
  config.loss = 'wasserstein'
  config.penalty = 'wgan_gp'
  config.penalty_weight = 10.0
  config.disc_steps = 5
  config.batch_size = 64
  config.num_steps = 100_000
  config.log_every = 20
  config.sample_every = 100
  config.checkpoint_every = 200
  config.steps_per_dispatch = 5
  base.set_optimizers(config, b1=0.0, b2=0.9, schedule='linear', decay_rate=0.0)
  return config
