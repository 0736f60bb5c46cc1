"""SRResNet enlarges photos twice, by its squared error, on two CPU cores.

Paper: Ledig et al. 2017, arXiv 1609.04802, section 3.2: residual blocks, pixel
shuffle, Adam. Deviations: no batch norm, and the bilinear enlargement below
(msrresnet, of ESRGAN's authors): with the paper's own network 2,100 steps were
still behind bicubic enlargement. Twofold (4), squares of 48 pixels (96), 8
blocks of 32 channels (16 of 64), rate 5e-4 along a cosine (1e-4, constant),
half of the images mirrored. D rests: srgan_bsds.py goes on with it.
Data: a folder or a ZIP of photos of 320 pixels or more, such as BSDS500.
Command: python run.py --config=configs/srresnet_bsds.py --config.data.dir=DIR
Scores: python run.py --mode=upscale --workdir=RUN --config.upscale.dir=PHOTOS
  --config.upscale.shrink=True
Measured: 31.94 dB on Y of held-out photos, bicubic 29.62; 7 min on two cores.
"""

from ml_collections import ConfigDict

from configs import base

PHOTO = 320  # pixels: the middle of a photo, as it is


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.update(
    name='folder',
    image_size=PHOTO,
    fit='centre',
    crop=48,
    flip=True,
    channels=3,
    derive='low_res',
    derive_factor=2,
  )
  config.given = ('source',)
  config.latent_dim = 1  # nothing in G is random
  config.network.update(
    name='msrresnet', gen_width=32, blocks=8, disc_width=32, pooled=True
  )
  config.solver = 'descent'
  config.adversarial_weight = 0.0
  config.mse_weight = 1.0
  config.gen_optimizer.update(learning_rate=5e-4, b1=0.9, schedule='cosine')
  config.disc_optimizer.update(learning_rate=1e-4, b1=0.9)
  config.batch_size = 16
  config.num_steps = 4_000
  config.sample_every = 1_000
  return config
