"""CycleGAN between two styles of drawings at 32 pixels, for two CPU cores.

Paper: Zhu et al. 2017, arXiv 1703.10593. Deviations: 16 channels (64), four
residual blocks (6 at 128 pixels), D of 16 pixels (70), batches of 8 (1).
Data: folders DIR/A and DIR/B of one style each, such as Noto's and Twitter's
emoji; which drawing shows the same as which is not used.
Command: python run.py --config=configs/cyclegan_emoji.py --config.data.dir=DIR
Measured: held-out drawings come back to .12 and .14; what is drawn is kept, the
style half taken on; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import cyclegan_256


def get_config() -> ConfigDict:
  """Overrides of configs/cyclegan_256.py."""
  config = cyclegan_256.get_config()
  config.data.image_size = 32
  config.data.crop = 0
  config.data.channels = 3
  config.data.background = 'white'
  config.data.flip = False
  config.network.gen_width = 16
  config.network.disc_width = 32
  config.network.blocks = 4
  config.network.disc_layers = 1
  config.latent_dim = 1  # no G reads it
  config.batch_size = 8
  config.cpu_devices = 2  # a fourth faster on two cores
  config.num_steps = 6_000
  return config
