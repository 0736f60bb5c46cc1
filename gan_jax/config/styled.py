"""The keys of style-based generators."""

from typing import Any

import flax.linen as nn

from gan_jax.networks.stylegan import StyledGenerator
from gan_jax.types import InputError

Config = Any


def check(config: Config, gen: nn.Module) -> None:
  """Checks what is said of styles.

  Args:
    config: of a run.
    gen: its generator.

  Raises:
    InputError: it has none, or mixes what the prior does not draw.
  """
  has_styles = isinstance(gen, StyledGenerator)
  if config.path_length_weight and not has_styles:
    raise InputError(
      f'path_length_weight: {config.path_length_weight} is on the length of '
      f'paths in styles, and {config.network.name} has none; take stylegan or '
      'stylegan2, or set it to 0'
    )
  if has_styles and gen.mixing and config.latent_prior != 'normal':
    raise InputError(
      f'latent_prior: {config.network.name} mixes styles of normal latents in '
      f'training, and the prior is {config.latent_prior}; set '
      'latent_prior=normal, or network.mixing=0'
    )
