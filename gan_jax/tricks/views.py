"""What D is shown instead of the examples themselves.

A view is applied to real and fake alike, in both players' objectives, and G's
gradient goes through it: first augmentation, then noise, then packing.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.rng import fold_each


def add_noise(
  images: jax.Array, keys: jax.Array, std: jax.Array | float
) -> jax.Array:
  """Instance noise: x + std * N(0, I), in the units of the pixels.

  Args:
    images: `[B, ...]`.
    keys: `[B]`.
    std: standard deviation, >= 0; annealed towards 0 by the caller.

  Reference:
    Sonderby et al., Amortised MAP Inference for Image Super-resolution,
    arXiv 1610.04490, section 2.3 ("instance noise"); Arjovsky and Bottou,
    Towards Principled Methods for Training GANs, arXiv 1701.04862, section 3.
  """
  noise = jax.vmap(
    lambda key: jax.random.normal(key, images.shape[1:], images.dtype)
  )(keys)
  return images + jnp.asarray(std, images.dtype) * noise


def pack(images: jax.Array, packing: int) -> jax.Array:
  """Joins every `packing` examples into one of as many times the channels.

  `[B, ..., C]` -> `[B / packing, ..., packing * C]`: neighbours in the batch,
  the first one's channels first.

  Reference:
    Lin et al., PacGAN: The power of two samples in generative adversarial
    networks, arXiv 1712.04086, section 2 and Figure 1.
  """
  if packing == 1:
    return images
  groups = images.reshape(-1, packing, *images.shape[1:])
  groups = jnp.moveaxis(groups, 1, -2)
  return groups.reshape(*groups.shape[:-2], -1)


def packed_shape(shape: tuple[int, ...], packing: int) -> tuple[int, ...]:
  """Shape of what D sees, from that of one example."""
  return (*shape[:-1], packing * shape[-1])


# (images [B, ...], keys [B], step, D's memory) -> what D sees.
View = Callable[..., jax.Array]


def make_view(
  *,
  packing: int = 1,
  noise_std: Callable[[jax.Array], jax.Array] | None = None,
  augment: Callable[..., jax.Array] | None = None,
) -> View:
  """The view that these tricks make together.

  Args:
    packing: see `pack`.
    noise_std: step -> standard deviation of instance noise; None for none.
    augment: (images, keys, memory) -> images; None for none.
  """

  def view(images, keys, step, memory):
    if augment is not None:
      images = augment(images, fold_each(keys, 0), memory)
    if noise_std is not None:
      images = add_noise(images, fold_each(keys, 1), noise_std(step))
    return pack(images, packing)

  return view
