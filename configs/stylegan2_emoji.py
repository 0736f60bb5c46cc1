"""StyleGAN2 with ADA on a folder of drawings at 32 pixels, for two CPU cores.

Paper: Karras et al. 2020, arXiv 1912.04958, with the adaptive augmentation of
arXiv 2006.06676: some thousand drawings are few. Deviations: stylegan2_mnist's,
and p may go from 0 to 1 in 50,000 images (500,000).
Command: python run.py --config=configs/stylegan2_emoji.py --config.data.dir=DIR
  --config.data.background=white (what emoji are drawn for)
Measured: 4,000 steps in 20 min on two CPU cores beside other work, on 1,607
drawings: blobs in colours of emoji, few of them things; fid_mobilenet 284.
"""

from ml_collections import ConfigDict

from configs import stylegan2_mnist


def get_config() -> ConfigDict:
  """Overrides of configs/stylegan2_mnist.py."""
  config = stylegan2_mnist.get_config()
  config.conditional = False
  config.data.name = 'folder'
  config.data.channels = 3
  config.data.flip = True
  config.tricks.augment = 'ada'
  config.tricks.ada_images = 50_000
  return config
