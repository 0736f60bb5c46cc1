"""Norms of activations, against their definitions."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import norms
from gan_jax.networks.style import Style
from gan_jax.types import InputError

close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)
LABELS = np.array([2, 0, 1, 2, 2, 0], np.int32)


def normal(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Normalise(nn.Module):
  style: Style

  @nn.compact
  def __call__(self, x, given=None, styles=None, *, train=True):
    return self.style.normalise(x, given, train=train, styles=styles)


def over(x, axes, epsilon, ddof=0):
  """(x - mean) / std over axes, in float64, biased unless told."""
  x = np.float64(x)
  variance = x.var(axes, keepdims=True, ddof=ddof)
  return (x - x.mean(axes, keepdims=True)) / np.sqrt(variance + epsilon)


# --- Pixel norm.


@pytest.mark.parametrize('shape', [(4, 7), (2, 3, 3, 7)])
def test_pixel_norm(shape):
  """Mean square 1 over channels, whatever the input's scale."""
  x = normal(0, *shape)
  y = norms.pixel_norm(x)
  close((np.float64(y) ** 2).mean(-1), 1.0)
  close(norms.pixel_norm(1e3 * x), y)
  close(y, x / np.sqrt((np.float64(x) ** 2).mean(-1, keepdims=True)))


def test_pixel_norm_subtracts_no_mean():
  """Equal channels stay 1 or -1; their variance is 0."""
  x = np.repeat([[3.0], [-0.5]], 5, axis=1).astype(np.float32)
  close(norms.pixel_norm(x), np.sign(x))
  assert not np.any(norms.pixel_norm(0.0 * x))


# --- Instance norm, group norm, adain.


@pytest.mark.parametrize('mean', [0.0, 100.0])
def test_instance_norm(mean):
  """Moments of each example and channel; biased variance, no parameters."""
  x = mean + normal(0, 3, 2, 4, 5) * np.float32([0.1, 1, 2, 5, 9])
  y, variables = Normalise(Style(norm='instance')).init_with_output(
    jax.random.key(0), x
  )
  assert not variables
  close(y, over(x, (1, 2), 1e-5), atol=1e-6 * max(1, 10 * mean))


def test_group_norm():
  """Channels side by side share moments; ends are other norms."""
  x = normal(0, 3, 2, 2, 6) * np.float32([1, 2, 3, 4, 5, 6])
  for groups in (1, 2, 6):
    layer = Normalise(Style(norm='group', norm_groups=groups))
    variables = layer.init(jax.random.key(0), x)
    params = {'scale': 1 + normal(1, 6), 'bias': normal(2, 6)}
    y = layer.apply({'params': {'GroupNorm_0': params}}, x)
    wide = over(x.reshape(3, 2, 2, groups, -1), (1, 2, 4), 1e-5)
    close(y, wide.reshape(x.shape) * params['scale'] + params['bias'])
    start = variables['params']['GroupNorm_0']
    assert np.all(start['scale'] == 1)
    assert not start['bias'].any()
    if groups == 6:
      close(layer.apply(variables, x), norms.instance_norm(x))


def test_groups_must_divide_the_channels():
  layer = Normalise(Style(norm='group', norm_groups=4))
  with pytest.raises(InputError, match=r'network\.norm_groups: 4 .* 6 chan'):
    layer.init(jax.random.key(0), normal(0, 2, 2, 2, 6))


def test_adain_has_the_moments_of_the_style():
  x, modulation = 3 + 2 * normal(0, 4, 8, 8, 3), 3 * normal(1, 4, 6)
  y = np.float64(norms.adain(x, modulation))
  close(y.mean((1, 2)), modulation[:, 3:], atol=1e-5)
  close(y.std((1, 2)), np.abs(1 + modulation[:, :3]), rtol=1e-5)
  close(norms.adain(x, 0 * modulation), norms.instance_norm(x))


def test_adain_of_an_image_in_its_own_style_is_the_image():
  """Biased moments on both sides (arXiv 1703.06868, eq. 8)."""
  x = 1 + 2 * normal(0, 2, 6, 6, 3)
  own = np.concatenate([x.std((1, 2)) - 1, x.mean((1, 2))], axis=-1)
  close(norms.adain(x, own), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('weights', ['none', 'equalised'])
def test_adain_takes_its_styles_through_a_layer_of_gain_1(weights):
  """No bias at the start: the style 0 leaves instance norm."""
  layer = Normalise(Style(norm='adain', weights=weights))
  x, styles = normal(0, 4, 3, 3, 5), normal(1, 4, 16)
  variables = layer.init(jax.random.key(0), x, None, styles)
  close(layer.apply(variables, x, None, 0 * styles), norms.instance_norm(x))
  dense = variables['params']['Dense_0']
  assert dense['kernel'].shape == (16, 10)
  modulation = styles @ np.float64(dense['kernel'])
  modulation /= 4 if weights == 'equalised' else 1  # sqrt(16)
  close(
    layer.apply(variables, x, None, styles),
    norms.adain(x, np.float32(modulation)),
    atol=1e-5,
  )


# --- Conditional batch norm.

PLAIN = Style(norm='batch', norm_momentum=0.7, norm_epsilon=0.3)
BY_CLASS = Style(
  norm='conditional', norm_momentum=0.7, norm_epsilon=0.3, num_classes=3
)


def apply(style, variables, x, train):
  return Normalise(style).apply(
    variables, x, {'labels': LABELS}, train=train, mutable='batch_stats'
  )


def stats_of(seed):
  return {'mean': normal(seed, 5), 'var': 1 + normal(seed, 5) ** 2}


def conditional(params):
  return {
    'params': {'ConditionalBatchNorm_0': params},
    'batch_stats': {'ConditionalBatchNorm_0': stats_of(3)},
  }


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('shape', [(6, 5), (6, 2, 3, 5)])
def test_conditional_batch_norm_of_equal_rows_is_batch_norm(shape, train):
  """Statistics are those of the whole batch, whatever its labels."""
  x = 1 + 2 * normal(0, *shape)
  row = {'scale': 1 + normal(1, 5), 'bias': normal(2, 5)}
  plain = {
    'params': {'BatchNorm_0': row},
    'batch_stats': {'BatchNorm_0': stats_of(3)},
  }
  expected, state = apply(PLAIN, plain, x, train)
  tables = {name: np.tile(value, (3, 1)) for name, value in row.items()}
  found, other = apply(BY_CLASS, conditional(tables), x, train)
  close(found, expected)
  pairs = zip(jax.tree.leaves(other), jax.tree.leaves(state), strict=True)
  for one, two in pairs:
    np.testing.assert_array_equal(one, two)


def test_conditional_batch_norm_takes_the_rows_of_the_labels():
  x = normal(0, 6, 2, 2, 5)
  tables = {'scale': normal(1, 3, 5), 'bias': normal(2, 3, 5)}
  found, _ = apply(BY_CLASS, conditional(tables), x, True)
  scale, bias = (tables[k][LABELS][:, None, None] for k in ('scale', 'bias'))
  close(found, over(x, (0, 1, 2), 0.3) * scale + bias)


def test_conditional_batch_norm_starts_as_batch_norm():
  """Scales 1 and biases 0 of each class: nothing is near 0 at first."""
  x, given = normal(0, 6, 2, 2, 5), {'labels': LABELS}
  ours = Normalise(BY_CLASS).init(jax.random.key(0), x, given)
  [tables] = ours['params'].values()
  np.testing.assert_array_equal(tables['scale'], np.ones((3, 5)))
  np.testing.assert_array_equal(tables['bias'], np.zeros((3, 5)))
  theirs = Normalise(PLAIN).init(jax.random.key(0), x)
  close(apply(BY_CLASS, ours, x, True)[0], apply(PLAIN, theirs, x, True)[0])


def test_devices_share_the_moments_of_conditional_batch_norm():
  x, tables = normal(0, 6, 2, 2, 5), {'scale': normal(1, 3, 5)}
  tables['bias'] = normal(2, 3, 5)
  expected, _ = apply(BY_CLASS, conditional(tables), x, True)
  layer = norms.ConditionalBatchNorm(0.7, 'batch', epsilon=0.3, num_classes=3)
  variables = {'params': tables, 'batch_stats': stats_of(3)}
  variables = jax.tree.map(jnp.asarray, variables)

  def of_share(x, labels):
    return layer.apply(variables, x, labels, train=True, mutable='batch_stats')

  found, _ = jax.vmap(of_share, axis_name='batch')(
    x.reshape(2, 3, 2, 2, 5), LABELS.reshape(2, 3)
  )
  close(found.reshape(x.shape), expected)


def test_which_norms_are_of_the_batch():
  found = {norm for norm in norms.NORMS if Style(norm=norm).batch_norm}
  assert found == {'batch', 'conditional'}
