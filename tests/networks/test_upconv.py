"""The tutorials' generator: its size, its shapes, what it cannot double to."""

import math

import jax
import numpy as np
import pytest

from gan_jax.types import InputError
from tests.helpers import make_pair

KEY = jax.random.key(0)


def count(network, *inputs):
  made = jax.eval_shape(lambda: network.init(KEY, *inputs, train=False))
  return sum(math.prod(x.shape) for x in jax.tree.leaves(made['params']))


def test_the_tutorials_size():
  """8x8x256 of 100 latents, to 32 pixels; D to 4x4x128."""
  pair = make_pair('upconv', (32, 32, 1))
  gen = 100 * 64 * 256 + 64 * 256
  gen += 9 * 256 * 128 + 3 * 128 + 9 * 128 * 64 + 3 * 64 + 9 * 64 + 1
  assert count(pair.gen, np.zeros((2, 100)), {}) == gen
  disc = 9 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 128 + 128
  disc += 4 * 4 * 128 + 1
  assert count(pair.disc, np.zeros((2, 32, 32, 1)), {}) == disc


@pytest.mark.slow
def test_a_pair_told_labels_draws_and_judges():
  pair = make_pair(
    'upconv', (8, 12, 3), num_classes=3, gen_widths=(6, 4), disc_widths=(4, 4)
  )
  given = {'labels': np.array([0, 2])}
  latents = np.ones((2, 5), np.float32)
  images, _ = pair.gen.init_with_output(KEY, latents, given, train=False)
  assert images.shape == (2, 8, 12, 3)
  assert np.abs(images[0] - images[1]).max() > 1e-3
  verdict, _ = pair.disc.init_with_output(KEY, images, given, train=False)
  assert verdict.logits.shape == (2,)


def test_batch_norm_has_the_tutorials_momentum():
  """.8 of the old statistics are kept."""
  pair = make_pair('upconv', (4, 4, 1), gen_widths=(4, 4))
  latents = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
  variables = pair.gen.init(KEY, latents, {}, train=False)
  _, new = pair.gen.apply(
    variables, latents, {}, train=True, mutable=['batch_stats']
  )
  after = jax.tree.leaves(new)[1]
  _, again = pair.gen.apply(
    {**variables, **new}, latents, {}, train=True, mutable=['batch_stats']
  )
  own = (after - 0.8) / 0.2  # of the batch; statistics began at 1
  later = jax.tree.leaves(again)[1]
  np.testing.assert_allclose(later, 0.8 * after + 0.2 * own, rtol=1e-5)


def test_an_image_that_cannot_be_doubled_to_is_named():
  with pytest.raises(InputError, match=r'data.image_size: upconv doubles its'):
    make_pair('upconv', (30, 30, 1))
