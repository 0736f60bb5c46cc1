"""An MLP generator against a small convolutional D on MNIST, 10 epochs.

Paper: none; a pair that is often used for teaching.
Command: python run.py --config=configs/conv_mnist.py
Measured: no full run yet; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'mnist'
  config.network.name = 'conv'
  config.batch_size = 128
  config.num_steps = 4_690  # 10 epochs
  base.set_optimizers(config, b1=0.5, b2=0.999)
  return config
