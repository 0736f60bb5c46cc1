"""The works that the speed benchmark times: one kind of step at one size.

`ours.py` and `theirs.py` make, for each, a function that takes so many steps
and waits for them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

Run = Callable[[int], None]


class Work(NamedTuple):
  """One row of the table.

  Attributes:
    title: what is done.
    batch: examples a step, of one seed.
    chunk: steps of one dispatch of ours.
    bound: the ratio to PyTorch that we mean to reach on two CPU cores.
    image_shape: (H, W, C) of the data; None for points.
    config: file in configs/ and the keys that it overrides, or None.
    seeds: trained in one program.
    classes: of the labels that both players are told; 0 for none.
    given: what else they are told, images of the same shape.
    unit: what is counted a second.
  """

  title: str
  batch: int
  chunk: int
  bound: float
  image_shape: tuple[int, int, int] | None = None
  config: tuple[str, dict[str, Any]] | None = None
  seeds: int = 1
  unit: str = 'images'
  classes: int = 0
  given: str = ''

  def seeds_of(self, side: str) -> int:
    """Seeds that advance in a step: all of ours, one of PyTorch's."""
    return self.seeds if side.startswith('ours') else 1


WORKS: dict[str, Work] = {
  'mlp': Work(
    'MLP GAN, 28x28', 128, 50, 3.0, (28, 28, 1), ('mlp_mnist', {}), unit='steps'
  ),
  'dcgan32': Work(
    'DCGAN, 32x32', 64, 50, 1.3, (32, 32, 3), ('dcgan_cifar', {})
  ),
  'dcgan64': Work(
    'DCGAN, 64x64', 32, 20, 1.3, (64, 64, 3), ('dcgan_64', {'batch_size': 32})
  ),
  'dcgan64_128': Work(
    'DCGAN, 64x64', 128, 20, 1.3, (64, 64, 3), ('dcgan_64', {'batch_size': 128})
  ),
  'wgan_gp': Work(
    'WGAN-GP ResNet, 32x32, critic',
    64,
    4,
    1.6,
    (32, 32, 3),
    ('wgan_gp_cifar', {'disc_steps': 1}),
  ),
  'biggan32': Work(
    'BigGAN ch 16, 32x32, 10 classes',
    64,
    20,
    1.0,
    (32, 32, 3),
    (
      'biggan_mnist',
      {
        'network.gen_width': 16,
        'network.disc_width': 16,
        'network.embed_dim': 128,
        'latent_dim': 128,
        'ema_decay': 0.0,
        'ema_start': 0,
        'mismatch_weight': 0.0,  # two pairs, as in the paper
      },
    ),
    classes=10,
  ),
  'stylegan2': Work(
    'StyleGAN2, 32x32, with lazy terms',
    32,
    16,
    1.2,
    (32, 32, 3),
    (
      'stylegan2_mnist',
      {
        'conditional': False,
        'network.channel_base': 1_024,
        'network.channel_max': 128,
        'network.mixing': 0.9,
        'penalty_weight': 0.0064,
        'path_length_weight': 2.0,
        'ema_decay': 0.0,
      },
    ),
  ),
  'pix2pix': Work(
    'pix2pix, U-Net of 64x64',
    4,
    10,
    1.0,
    (64, 64, 3),
    ('pix2pix_facades', {}),
    given='source',
  ),
  'cyclegan': Work(
    'CycleGAN, 32x32',
    8,
    10,
    1.0,
    (32, 32, 3),
    ('cyclegan_emoji', {}),
    given='other',
  ),
  'ring': Work('8 Gaussians, 2x128 MLPs', 256, 500, 3.0, unit='steps'),
  'ring10': Work(
    '8 Gaussians, 10 seeds at once', 256, 100, 6.0, seeds=10, unit='steps'
  ),
}
# What a GPU is timed with; the first of them takes a CPU too long.
GPU_WORKS = ['dcgan64_128', 'wgan_gp']
RING_WIDTHS, RING_LATENTS = (128, 128), 2
