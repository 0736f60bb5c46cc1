"""HoloGAN at the published size for images of 64 pixels.

Paper: Nguyen-Phuoc et al. 2019, arXiv 1904.01326, and the authors' code: a
volume of 16^3 with 64 channels, azimuths of 220 to 320 degrees (a hundred of
them, here about 0), elevations of 70 to 110 from above (-20 to 20 here), 128
latents in [-1, 1] that D guesses, Adam 1e-4 with b1 .5, batches of 32.
Data: a folder of images; no poses are needed.
Command: python run.py --config=configs/hologan_64.py --config.data.dir=DIR
Not run: for a GPU.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 64
  config.data.channels = 3
  config.data.flip = True
  config.network.name = 'hologan'
  config.network.gen_width = 64
  config.network.disc_width = 64
  config.network.azimuth = (-50.0, 50.0)
  config.network.elevation = (-20.0, 20.0)
  config.latent_dim = 0
  config.codes = (1,) * 128
  config.latent_prior = 'uniform'
  config.batch_size = 32
  config.num_steps = 300_000
  base.set_optimizers(config, learning_rate=1e-4, b1=0.5)
  return config
