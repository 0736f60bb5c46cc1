"""pix2pix on MNIST at 32 pixels: digits from their edges.

Paper: Isola et al. 2017, arXiv 1611.07004, section 3.2. Deviations: as
colourise_cifar, at a quarter of the width.
Command: python run.py --config=configs/edges_mnist.py
Measured: 3,000 steps in 2 min on two CPU cores beside other work; of the test
images PSNR 24.6 dB, SSIM .949. Thick strokes keep holes.
"""

from ml_collections import ConfigDict

from configs import colourise_cifar


def get_config() -> ConfigDict:
  """Overrides of configs/colourise_cifar.py."""
  config = colourise_cifar.get_config()
  config.data.name = 'mnist'
  config.data.image_size = 32
  config.data.derive = 'edges'
  config.data.flip = False
  config.network.gen_width = 16
  config.network.disc_width = 16
  config.num_steps = 3_000
  return config
