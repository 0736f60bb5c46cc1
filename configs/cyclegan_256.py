"""CycleGAN as published, for two folders of images at 256 pixels.

Paper: Zhu et al. 2017, arXiv 1703.10593: least squares, cycles weighted by 10
and identities by 5, pools of 50 fakes, batches of one, rates that fall linearly
to 0 in the second half. Deviations: D moves before G; steps are those of 200
epochs of 1,000 images.
Command: python run.py --config=configs/cyclegan_256.py --config.data.dir=DIR
  (with DIR/A and DIR/B)
Measured: not trained; two steps of a tiny version run in the tests.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.game = 'cycle'
  config.given = ('other',)
  config.data.name = 'folder'
  config.data.layout = 'unpaired'
  config.data.image_size = 286
  config.data.crop = 256
  config.data.flip = True
  config.network.name = 'cyclegan'
  config.loss = 'least_squares'
  config.batch_size = 1
  config.num_steps = 200_000
  base.set_optimizers(
    config, b1=0.5, b2=0.999, schedule='linear_late', decay_rate=0.0
  )
  return config
