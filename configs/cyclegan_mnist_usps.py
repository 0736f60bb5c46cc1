"""CycleGAN between two sets of digits at 32 pixels, for two CPU cores.

Paper: Zhu et al. 2017, arXiv 1703.10593; the task: Hoffman et al. 2018, CyCADA,
arXiv 1711.03213, section 4.1. Deviations: those of cyclegan_emoji, and no
identity loss, as the domains differ in stroke alone.
Data: folders DIR/A (MNIST, as images) and DIR/B (USPS).
Command: python run.py --config=configs/cyclegan_mnist_usps.py
  --config.data.dir=DIR
Measured: not trained yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import cyclegan_emoji


def get_config() -> ConfigDict:
  """Overrides of configs/cyclegan_emoji.py."""
  config = cyclegan_emoji.get_config()
  config.data.channels = 1
  config.data.background = 'black'
  config.identity_weight = 0.0
  return config
