"""StackGAN on captioned emoji, 16 and then 64 pixels, for two CPU cores.

Paper: Zhang et al. 2017, arXiv 1612.03242: a vector drawn for each text, D that
also sees texts of other images, two stages. Deviations: a quarter of its widths
and two residual blocks (4); the mean of the words' embeddings (a trained
encoder of 1,024 dimensions); the vector's KL divergence has weight .1 (2), with
which texts say twice as much here; both stages in one run, whose rates stay
(halved every 50 to 100 epochs).
Data: a folder of images with captions, such as that which
experiments/emoji_folder.py makes of emoji.
Command: python run.py --config=configs/stackgan_emoji.py --config.data.dir=DIR
Then: python run.py --mode=sample --workdir=RUN --config.sample.text="red heart"
Measured: 3,000 steps of 16 pixels; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import stackgan_256


def get_config() -> ConfigDict:
  """Overrides of configs/stackgan_256.py."""
  config = stackgan_256.get_config()
  config.data.image_size = 64
  config.data.flip = False
  config.data.background = 'white'
  config.network.gen_width = 32
  config.network.disc_width = 32
  config.network.blocks = 2
  config.network.condition_dim = 128
  config.conditioning_weight = 0.1
  config.network.text_dim = 128
  config.network.alone = False
  config.latent_dim = 8
  stackgan_256.set_stages(config, 16, 3_000, 64, 1_500)
  return config
