"""pix2pix at the published size: 256 pixels, from label maps to facades.

Paper: Isola et al. 2017, arXiv 1611.07004: U-Net, patches of 70 pixels, L1 with
weight 100, batches of 1, 200 epochs of 400 pairs. Deviations: instance norm,
which batch norm is in batches of 1; a constant learning rate.
Data: a folder or a ZIP of images that are a facade on the left and its label
map on the right; for other pairs see data.layout and data.direction.
Command: python run.py --config=configs/pix2pix_256.py --config.data.dir=DIR
Measured: not trained yet; a tiny version takes two steps in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.layout = 'halves'
  config.data.direction = 'b2a'
  config.data.image_size = 286
  config.data.crop = 256
  config.data.channels = 3
  config.data.flip = True
  config.given = ('source',)
  config.network.name = 'pix2pix'
  config.network.gen_norm = 'instance'
  config.network.disc_norm = 'instance'
  config.l1_weight = 100.0
  config.latent_dim = 1  # the seed of dropout is all that G reads
  config.batch_size = 1
  config.num_steps = 80_000
  base.set_optimizers(config, b1=0.5, b2=0.999)
  config.sample.batch_norm = 'batch'
  config.eval.batch_norm = 'batch'
  config.translate.batch_norm = 'batch'
  return config
