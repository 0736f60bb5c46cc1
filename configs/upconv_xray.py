"""The tutorials' generator of medical images, told the class, at 32 pixels.

Dense to 8x8x256, nearest neighbours and 3x3 convolutions with batch norm of
momentum .8, tanh; D is told the class too. There is no paper.
Data: a folder with a folder of images for each class, such as chest X-rays.
Command: python run.py --config=configs/upconv_xray.py --config.data.dir=DIR
Measured: by experiments/augmentation.py, 40 times; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 32
  config.data.channels = 1
  config.conditional = True
  config.network.name = 'upconv'
  config.batch_size = 32
  config.num_steps = 400
  config.fresh_latents = False
  base.set_optimizers(config, b1=0.5)
  return config
