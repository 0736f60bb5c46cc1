"""A radiance field on the turntables of COIL-20, 32 pixels, for two CPU cores.

Paper: Chan et al. 2020, arXiv 2012.00926 (pi-GAN). Deviations: layers of 48
units (256) and four of them (8), 12 samples a ray, no growing of the images;
grey; both players are told the pose and the object of each image (the paper
tells neither).
Data: a folder of images with poses, such as that which
experiments/coil_folder.py makes of COIL-20.
Command: python run.py --config=configs/nerf_coil.py --config.data.dir=DIR
Then: python run.py --mode=orbit --workdir=RUN
Measured: 2,000 steps in about 36 min on two cores; commanded and read azimuth
agree to .60. Shapes turn, print is not drawn; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import pigan_64


def get_config() -> ConfigDict:
  """Overrides of configs/pigan_64.py."""
  config = pigan_64.get_config()
  config.data.image_size = 32
  config.data.channels = 1
  config.data.flip = False
  config.conditional = True
  config.given = ('pose',)
  config.network.gen_width = 48
  config.network.disc_width = 32
  config.network.disc_labels_by = 'projection'
  config.network.field_depth = 4
  config.network.samples = 12
  config.network.azimuth = None
  config.network.elevation = None
  config.latent_dim = 8
  config.batch_size = 16
  config.ema_decay = 0.995
  config.gen_optimizer.learning_rate = 3e-4
  config.num_steps = 2_000
  return config
