"""InfoNCE: its values where they are known, and of a batch on devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from gan_jax.tricks.contrastive import contrast, info_nce, unit


def vectors(num=6, size=4, seed=0):
  rng = np.random.default_rng(seed)
  return (rng.normal(size=(num, size)).astype(np.float32) for _ in range(2))


def test_of_equal_similarities_it_is_the_log_of_their_number():
  for num in (2, 7):
    np.testing.assert_allclose(
      info_nce(jnp.full((num, num), 0.3)), np.log(num), rtol=1e-6
    )


def test_of_partners_that_are_sure_it_is_0():
  images = np.eye(5, dtype=np.float32)
  assert contrast(images, images, 1e3) == 0
  moved = np.roll(images, 1, axis=0)  # sure of the wrong ones
  assert contrast(images, moved, 1e3) > 900


def test_it_is_the_mean_of_both_ways():
  images, texts = vectors()
  similarities = 3 * np.asarray(unit(images) @ unit(texts).T)
  own = np.arange(6)
  ways = [
    log_softmax(s, axis=1)[own, own] for s in (similarities, similarities.T)
  ]
  expected = -0.5 * np.mean(ways[0]) - 0.5 * np.mean(ways[1])
  np.testing.assert_allclose(contrast(images, texts, 3.0), expected, rtol=1e-5)
  np.testing.assert_allclose(contrast(texts, images, 3.0), expected, rtol=1e-5)


def test_lengths_do_not_count():
  images, texts = vectors()
  np.testing.assert_allclose(
    contrast(5 * images, texts / 7, 2.0),
    contrast(images, texts, 2.0),
    rtol=1e-5,
  )
  value, grads = jax.value_and_grad(contrast)(0 * images, texts, 2.0)
  assert np.isfinite(value)
  assert np.isfinite(grads).all()


@pytest.mark.parametrize('num', [2, 3])
def test_devices_see_the_whole_batch(num):
  """Values and gradients: the mean over devices is that of the batch."""
  images, texts = vectors()

  def of_devices(images, texts):
    parts = (x.reshape(num, -1, 4) for x in (images, texts))
    return jax.vmap(
      lambda a, b: contrast(a, b, 3.0, 'devices'), axis_name='devices'
    )(*parts).mean()

  both = jax.value_and_grad(of_devices, (0, 1))(images, texts)
  whole = jax.value_and_grad(lambda a, b: contrast(a, b, 3.0), (0, 1))
  for one, other in zip(
    jax.tree.leaves(both), jax.tree.leaves(whole(images, texts)), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
