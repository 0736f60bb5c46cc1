"""Emoji from a name and a drawing in another style, either or none of them.

G(z, text, image) at 32 pixels, for two CPU cores: a DCGAN whose latents are
joined by a vector of the words and one of the source drawing; D has both beside
the image. Each is missing in a quarter of the examples. D's vectors of images
and of what they are told with are compared (XMC-GAN, Zhang et al. 2021,
arXiv 2101.04702, whose networks are far larger and read single words).
Data: a folder of pairs with captions, such as that which
experiments/emoji_folder.py makes with --source. Command:
python run.py --config=configs/crossmodal_emoji.py --config.data.dir=DIR
Measured: its own counterpart is nearest of 100 for 1 % of what is drawn from
nothing, 17 % from text, 52 % from the drawing, 48 % from both; with MiniLM's
vectors (text.encoder=minilm) 2, 11, 50 and 52 %; docs/results.md.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.layout = 'paired'
  config.data.image_size = 32
  config.data.channels = 3
  config.data.background = 'white'
  config.given = ('text', 'source')
  config.drop_given = 0.25
  config.l1_weight = 10.0
  config.contrastive_weight = 1.0
  config.network.name = 'dcgan'
  config.network.gen_width = 48
  config.network.disc_width = 32
  config.network.embed_dim = 128
  config.latent_dim = 16
  config.batch_size = 64
  config.num_steps = 3_000
  config.ema_decay = 0.995
  base.set_optimizers(config, learning_rate=2e-4, b1=0.5)
  return config
