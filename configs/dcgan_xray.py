"""A generator for few medical images: DCGAN with what few images want.

Beside configs/upconv_xray.py: D is spectrally normalised, projects the class,
and sees moved and cut images (DiffAugment, Zhao et al. 2020, arXiv 2006.10738);
hinge loss; an average of G's weights.
Data: a folder with a folder of images for each class, such as chest X-rays.
Command: python run.py --config=configs/dcgan_xray.py --config.data.dir=DIR
Measured: by experiments/augmentation.py, 40 times; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import upconv_xray


def get_config() -> ConfigDict:
  """Overrides of configs/upconv_xray.py."""
  config = upconv_xray.get_config()
  config.network.name = 'dcgan'
  config.network.gen_width = 48
  config.network.disc_width = 32
  config.network.disc_norm = 'none'
  config.network.disc_weights = 'spectral'
  config.network.disc_labels_by = 'projection'
  config.loss = 'hinge'
  config.tricks.augment = 'diffaugment'
  config.tricks.augment_policy = ('translation', 'cutout')
  config.ema_decay = 0.99
  config.num_steps = 600
  return config
