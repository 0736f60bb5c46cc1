"""StackGAN at the published size, in two stages of one run.

Paper: Zhang et al. 2017, arXiv 1612.03242, birds: sketches of 64 pixels and
images of 256. Networks as in the authors' PyTorch code; 600 epochs of 8,855
birds a stage. Deviations: rates stay (halved every 100 epochs); D makes a
vector of the text itself, as in their TensorFlow code.
Data: a folder of images with captions, see docs/data.md; the authors' texts
come as vectors of 1,024 numbers (text.encoder has sentence encoders).
Command: python run.py --config=configs/stackgan_256.py --config.data.dir=DIR
Not run: for a GPU of 16 GB.
"""

from ml_collections import ConfigDict

from configs import base


def set_stages(
  config: ConfigDict, first: int, steps: int, size: int, more: int
) -> None:
  """Two stages, of images of `first` and of `size` pixels, and their steps."""
  both = {'reset_optimizers': True}
  config.network.first_size = first
  config.stages = (
    (0, {'network.resolution': first, **both}),
    (steps, {'network.resolution': size, **both}),
  )
  config.num_steps = steps + more


def get_config() -> ConfigDict:
  """Overrides of configs/base.py."""
  config = base.get_config()
  config.data.name = 'folder'
  config.data.image_size = 256
  config.data.channels = 3
  config.data.flip = True
  config.given = ('text',)
  config.network.name = 'stackgan'
  config.network.gen_width = 128
  config.network.disc_width = 64
  config.network.condition_dim = 128
  config.network.alone = True
  config.loss = 'non_saturating'
  config.mismatch_weight = 0.5
  config.conditioning_weight = 2.0
  config.latent_dim = 100
  config.batch_size = 64
  base.set_optimizers(config, learning_rate=2e-4, b1=0.5)
  set_stages(config, 64, 83_000, 256, 83_000)
  return config
