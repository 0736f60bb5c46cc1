"""HoloGAN on the turntables of COIL-20 at 32 pixels, for two CPU cores.

Paper: Nguyen-Phuoc et al. 2019, arXiv 1904.01326. Deviations: an eighth of its
widths, grey; both players are told the pose and the object of each image (the
paper tells neither), so that a turn of the camera has a meaning that can be
measured; no identity loss.
Data: a folder of images with poses, such as that which
experiments/coil_folder.py makes of COIL-20.
Command: python run.py --config=configs/hologan_coil.py --config.data.dir=DIR
Then: python run.py --mode=orbit --workdir=RUN
Measured: azimuths read off what is drawn agree with those asked for to .91;
docs/results.md.
"""

from ml_collections import ConfigDict

from configs import hologan_64


def get_config() -> ConfigDict:
  """Overrides of configs/hologan_64.py."""
  config = hologan_64.get_config()
  config.data.image_size = 32
  config.data.channels = 1
  config.data.flip = False
  config.conditional = True
  config.given = ('pose',)
  config.network.gen_width = 8
  config.network.disc_width = 32
  config.network.disc_labels_by = 'projection'
  config.network.azimuth = None
  config.network.elevation = None
  config.latent_dim = 8
  config.codes = ()
  config.code_weight = None
  config.ema_decay = 0.995
  base_rates = dict(learning_rate=2e-4, b1=0.5)
  config.gen_optimizer.update(base_rates)
  config.disc_optimizer.update(base_rates)
  config.num_steps = 9_000
  return config
