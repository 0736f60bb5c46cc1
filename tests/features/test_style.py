"""Style and content: Gram matrices, moments, and what moves towards them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.features import style as style_lib
from gan_jax.features import transfer
from gan_jax.features.maps import Maps
from gan_jax.networks.adain_decoder import VGG, Decoder
from gan_jax.sampling.optimise import optimise_input
from gan_jax.types import InputError

RNG = np.random.default_rng(0)


def maps_of(num=1, size=5, channels=4):
  return RNG.normal(size=(num, size, size, channels)).astype(np.float32)


# --- Gatys ------------------------------------------------------------------


def test_a_gram_matrix_knows_no_places():
  x = maps_of(2)
  moved = RNG.permuted(x.reshape(2, 25, 4), axis=1)  # each channel by itself
  together = x.reshape(2, 25, 4)[:, RNG.permutation(25)].reshape(x.shape)
  found = style_lib.gram(x)
  np.testing.assert_allclose(style_lib.gram(together), found, rtol=1e-4)
  other = style_lib.gram(moved.reshape(x.shape))
  assert np.abs(other - found).max() > 0.1
  expected = np.einsum('bijc,bijd->bcd', x, x)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_of_one_hot_channels_it_is_diagonal():
  x = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (1, 6, 6))]
  found = np.asarray(style_lib.gram(x))[0]
  np.testing.assert_array_equal(found, np.diag(x.sum(axis=(0, 1, 2))))


def test_the_style_loss_is_that_of_the_paper():
  one, other = maps_of(), maps_of()
  squares = ((style_lib.gram(one) - style_lib.gram(other)) ** 2).sum()
  expected = squares / (4 * 4**2 * 25**2)
  found = style_lib.gatys_style([one, one], [other, one])
  np.testing.assert_allclose(found, expected / 2, rtol=1e-5)
  assert float(style_lib.gatys_style([one], [one])) == 0


def test_the_style_loss_has_the_papers_gradient():
  """Equation 6: F (G - A) / (N^2 M^2), with the rows of F its places here."""
  one, other = maps_of(), maps_of()
  found = jax.grad(lambda x: style_lib.gatys_style([x], [other]))(one)
  difference = (style_lib.gram(one) - style_lib.gram(other))[0]
  flat = one.reshape(25, 4)
  expected = flat @ difference / (4**2 * 25**2)
  np.testing.assert_allclose(found.reshape(25, 4), expected, rtol=1e-3)


def test_a_style_may_have_another_size():
  one = maps_of(size=4)
  doubled = np.tile(one, (1, 2, 2, 1))  # the same places, four times each
  assert float(style_lib.gatys_style([one], [doubled])) < 1e-10


def test_the_content_loss_and_its_gradient():
  one, other = maps_of(), maps_of()
  value, grads = jax.value_and_grad(style_lib.gatys_content)(one, other)
  np.testing.assert_allclose(value, 0.5 * ((one - other) ** 2).sum(), rtol=1e-5)
  np.testing.assert_allclose(grads, one - other, rtol=1e-5)


# --- AdaIN ------------------------------------------------------------------


def test_adain_has_the_moments_of_the_style():
  content, style = maps_of(3, 6), 2 + 3 * maps_of(3, 9)
  found = style_lib.adain(content, style)
  for own, wanted in zip(
    style_lib.moments(found), style_lib.moments(style), strict=True
  ):
    np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(
    style_lib.adain(content, content), content, atol=1e-5
  )
  assert float(style_lib.adain_style([found], [style])) < 1e-7


def test_moments_are_over_places():
  x = maps_of(2, 7)
  mean, deviation = style_lib.moments(x)
  np.testing.assert_allclose(mean[:, 0, 0], x.mean(axis=(1, 2)), atol=1e-6)
  np.testing.assert_allclose(
    deviation[:, 0, 0], np.sqrt(x.var(axis=(1, 2)) + 1e-5), rtol=1e-5
  )


def test_the_decoder_has_the_papers_size():
  decoder = Decoder()
  assert decoder.widths is VGG
  maps = jax.ShapeDtypeStruct((1, 8, 8, 512), jnp.float32)
  shapes = jax.eval_shape(decoder.init, jax.random.key(0), maps)
  count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(shapes))
  assert count == 3_505_219
  images = jax.eval_shape(decoder.apply, shapes, maps)
  assert images.shape == (1, 64, 64, 3)


def blurring(name='MobileNet'):
  """A network whose maps are the image and its mean over squares."""
  layers = transfer.LAYERS[name]
  wanted = (layers.content, *layers.styles, layers.encoder, *layers.compared)
  names = sorted(set(wanted), key=lambda x: int(x.removeprefix('block')))

  def apply(x, wanted):
    small = x.reshape(len(x), x.shape[1] // 4, 4, x.shape[2] // 4, 4, 3)
    small = small.mean(axis=(2, 4))
    every = {n: small if n == layers.encoder else x for n in names}
    return [every[n] for n in names if n in wanted]

  return Maps(name, tuple(names), apply)


def test_alpha_goes_from_the_content_to_the_style():
  maps = blurring()
  content, style = (RNG.uniform(-1, 1, (1, 8, 8, 3)) for _ in range(2))

  class Same:
    def apply(self, params, maps):
      return maps

  (own,) = maps.apply(content, ['block3'])
  at = {
    a: transfer.stylised(maps, Same(), {}, content, style, a)
    for a in (0.0, 0.5, 1.0)
  }
  np.testing.assert_allclose(at[0.0][0], own, rtol=1e-6)
  np.testing.assert_allclose(at[1.0][0], at[1.0][1], rtol=1e-6)
  np.testing.assert_allclose(at[0.5][0], (own + at[1.0][0]) / 2, rtol=1e-5)


def test_the_decoder_is_paid_for_what_adain_made():
  """With the images it should make: no content loss; of others there is one."""
  maps = blurring()
  content, style = (
    RNG.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32) for _ in range(2)
  )

  class Nearest:
    def apply(self, params, maps):
      return maps.repeat(4, axis=1).repeat(4, axis=2) + params

  losses = transfer.adain_losses(maps, Nearest(), 0.0, content, style)
  assert float(losses.content) < 1e-10
  assert float(losses.style) > 1e-3
  moved = transfer.adain_losses(maps, Nearest(), 0.5, content, style)
  np.testing.assert_allclose(moved.content, 0.25, rtol=1e-5)


def test_no_decoder_mirrors_alexnet():
  maps = Maps('AlexNet', ('relu1',), lambda x, wanted: [x])
  with pytest.raises(InputError, match=r'no decoder mirrors AlexNet.*VGG-16'):
    transfer.make_decoder(maps)


# --- Optimising an input ------------------------------------------------------


def test_an_image_takes_a_style():
  maps = blurring()
  content, style = (
    jnp.asarray(RNG.uniform(-1, 1, (1, 16, 16, 3)) * scale, jnp.float32)
    for scale in (0.2, 1.0)
  )
  found = transfer.gatys(
    maps, content, style, style_weight=1e3, num_steps=80, learning_rate=0.03
  )
  losses = [
    float(transfer.gatys_losses(maps, x, content, style).style)
    for x in (content, found.best)
  ]
  assert losses[1] < losses[0] / 10
  assert np.abs(found.best).max() <= 1
  same = transfer.gatys_losses(maps, content, content, content)
  assert [float(x) for x in same] == [0, 0]


def test_the_best_input_is_kept():
  found = optimise_input(
    lambda x, key, step: jnp.sum(x**2) + 0 * jax.random.normal(key),
    {'a': jnp.array([3.0]), 'b': jnp.array([-2.0])}['a'],
    num_steps=60,
    learning_rate=0.5,
  )
  assert len(found.losses) == 60
  assert found.losses[0] == 9
  np.testing.assert_allclose(
    np.sum(np.square(found.best)), found.losses.min(), rtol=1e-5, atol=1e-9
  )
  assert found.losses.min() < 1e-3


def test_every_step_has_its_own_key():
  found = optimise_input(
    lambda x, key, step: 0 * x + jax.random.uniform(key),
    jnp.zeros(()),
    num_steps=30,
    learning_rate=0.1,
  )
  assert len(np.unique(found.losses)) == 30


def test_a_loss_that_is_not_finite_is_named():
  with pytest.raises(InputError, match=r'the loss of step 1 is not finite'):
    optimise_input(
      lambda x, key, step: jnp.log(x),
      jnp.float32(0.1),
      num_steps=5,
      learning_rate=1.0,
    )
  with pytest.raises(InputError, match=r'num_steps: 0 is not at least 1'):
    optimise_input(lambda x, key, step: x, 1.0, num_steps=0, learning_rate=1.0)
