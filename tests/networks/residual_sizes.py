"""Parameters of residual pairs, counted by formula."""

import itertools
import math

import jax
import numpy as np

from tests.helpers import make_pair


def conv(kernel, i, o):
  """Of a convolution with biases."""
  return kernel * kernel * i * o + o


def scaled(width, *multiples):
  """Widths in multiples of one."""
  return tuple(width * m for m in multiples)


def attention(channels):
  """C/8, C/8, C/2 and back, without biases, and gamma."""
  return channels * channels * 5 // 4 + 1 if channels else 0


def gen_blocks(widths, channels, latents, norms):
  """Dense, blocks, the plain norm, to the image.

  Args:
    widths: of the first map and of each block.
    channels: of the image.
    latents: that make the first map.
    norms: parameters of a conditional norm, for each channel.
  """
  total = latents * 16 * widths[0] + 16 * widths[0]
  for i, o in itertools.pairwise(widths):
    total += conv(3, i, o) + conv(3, o, o) + conv(1, i, o) + norms * (i + o)
  return total + 2 * widths[-1] + conv(3, widths[-1], channels)


def disc_blocks(widths, downs, channels, num_classes, bias, wide):
  """Blocks, hidden width that of their output if wide; linear; embedding."""
  total = 0
  for number, (i, o) in enumerate(itertools.pairwise((channels, *widths))):
    hidden = o if wide or not number else i
    total += conv(3, i, hidden) + conv(3, hidden, o)
    total += conv(1, i, o) if number < downs or i != o else 0
  return total + widths[-1] + bias + num_classes * widths[-1]


def sizes_of(name, shape, num_classes, latent_dim, **keys):
  """Parameters of both players as they are."""
  pair = make_pair(name, shape, num_classes=num_classes, **keys)
  given = {'labels': np.zeros(2, np.int32)} if num_classes else {}
  found = []
  for network, one in zip(pair, ((latent_dim,), shape), strict=True):
    x = np.zeros((2, *one), np.float32)
    variables = jax.eval_shape(
      lambda n=network, x=x: n.init(jax.random.key(0), x, given, train=False)
    )
    leaves = jax.tree.leaves(variables['params'])
    found.append(sum(math.prod(leaf.shape) for leaf in leaves))
  return tuple(found)
