"""pi-GAN's radiance field at the published size, for images of 64 pixels.

Paper: Chan et al. 2020, arXiv 2012.00926, and the authors' code for CelebA:
TALL-SIREN of 8 layers of 256, latents of 256, R1 of .2, Adam with b1 0 and b2
.9, rates 6e-5 of G and 2e-4 of D, azimuths and elevations about the front.
Deviations: see gan_jax/networks/pigan.py; poses are drawn evenly (normal
there), images have 64 pixels from the start (32 to 128 in three stages).
Data: a folder of images; no poses are needed.
Command: python run.py --config=configs/pigan_64.py --config.data.dir=DIR
Not run: for several GPUs.
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
  config.network.name = 'pigan'
  config.network.gen_width = 256
  config.network.disc_width = 64
  config.network.samples = 24
  config.network.azimuth = (-30.0, 30.0)
  config.network.elevation = (-15.0, 15.0)
  config.latent_dim = 256
  config.penalty = 'r1'
  config.penalty_weight = 0.2
  config.ema_decay = 0.999
  config.batch_size = 64
  config.num_steps = 200_000
  config.gen_optimizer.update(learning_rate=6e-5, b1=0.0, b2=0.9)
  config.disc_optimizer.update(learning_rate=2e-4, b1=0.0, b2=0.9)
  return config
