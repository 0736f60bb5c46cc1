"""pix2pix on CIFAR-10: colours for grey images.

Paper: Isola et al. 2017, arXiv 1611.07004, section 3.2. Deviations: 32 pixels
and half the width, patches of 16 pixels (70), batches of 16 (1), a constant
learning rate; G draws by running statistics.
Command: python run.py --config=configs/colourise_cifar.py
Measured: 10,000 steps in 27 min on two CPU cores beside other work, on a JPEG
copy of CIFAR-10: plausible colours, specks in a corner of some; of the test
images colourfulness 26.8 (true colours 30.6), PSNR of the luma 36.6 dB.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'cifar10'
  config.data.derive = 'grey'
  config.data.flip = True
  config.given = ('source',)
  config.network.name = 'pix2pix'
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.network.disc_layers = 1
  config.l1_weight = 100.0
  config.latent_dim = 1  # the seed of dropout is all that G reads
  config.batch_size = 16
  config.num_steps = 10_000
  base.set_optimizers(config, b1=0.5, b2=0.999)
  return config
