"""SNGAN on CIFAR-10 at the published size.

Paper: Miyato et al. 2018, arXiv 1802.05957, section 4.1 and table 3 of the
appendix: hinge loss, five updates of D, batch 64, Adam 2e-4 (0, .9) decaying
linearly to zero over 50,000 steps, latents 128. With --config.conditional=True
it is Miyato and Koyama 2018, arXiv 1802.05637. Deviations: G sees batches of
64, where the authors' code gives it 128; images are not dequantised; the labels
of fakes are those of the batch; D moves first in each step.
Command: python run.py --config=configs/sngan_cifar.py
Measured: not run here; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.network.name = 'sngan'
  config.latent_dim = 128
  config.loss = 'hinge'
  config.disc_steps = 5
  config.batch_size = 64
  config.num_steps = 50_000
  config.steps_per_dispatch = 5
  base.set_optimizers(config, b1=0.0, b2=0.9, schedule='linear', decay_rate=0.0)
  return config
