"""pix2pix on pairs of label maps and facades at 64 pixels, for two CPU cores.

Paper: Isola et al. 2017, arXiv 1611.07004: U-Net, patches, L1 with weight 100,
dropout as the noise. Deviations: squares of 64 out of 72 pixels (256 of
286), half the width, patches of 34 pixels (70), batches of 4 (1), a constant
learning rate.
G goes by the statistics of its own batch when it draws, as in the paper.
Data: a folder or a ZIP of images that are a facade on the left and its label
map on the right, such as those of the CMP facade database.
Command: python run.py --config=configs/pix2pix_facades.py --config.data.dir=DIR
Measured: beside L1 alone: docs/results.md.
"""

from ml_collections import ConfigDict

from configs import pix2pix_256


def get_config() -> ConfigDict:
  """Overrides of configs/pix2pix_256.py."""
  config = pix2pix_256.get_config()
  config.data.image_size = 72
  config.data.crop = 64
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.network.gen_norm = 'batch'
  config.network.disc_norm = 'batch'
  config.network.disc_layers = 2
  config.batch_size = 4
  config.num_steps = 9_000
  return config
