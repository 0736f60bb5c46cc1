"""SNGAN: published sizes, the projection, and what the pair is made of."""

import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from gan_jax.types import InputError
from tests.helpers import make_pair, sampled
from tests.networks import residual_sizes as sizes

TINY = dict(gen_width=4, disc_width=4)


def inputs_of(player, shape, num_classes=0, batch=3):
  """Latents or images, and labels if there are classes."""
  rng = np.random.default_rng(0)
  if player == 'gen':
    x = rng.normal(size=(batch, 128))
  else:
    x = rng.uniform(-1, 1, (batch, *shape))
  labels = np.arange(batch, dtype=np.int32) % max(1, num_classes)
  return np.float32(x), {'labels': labels} if num_classes else {}


def variables_of(player, shape, num_classes=0, init=jax.eval_shape, **keys):
  """A network and its variables, or their shapes."""
  pair = make_pair('sngan', shape, num_classes=num_classes, **keys)
  network = getattr(pair, player)
  inputs = inputs_of(player, shape, num_classes)
  return network, init(
    lambda: network.init(jax.random.key(1), *inputs, train=False)
  )


def drawn(init):
  """What `variables_of` is given to draw them."""
  return jax.jit(init)()


# --- Sizes.


def gen_size(widths, channels, num_classes):
  """With a row of scales and biases for each class in each norm."""
  return sizes.gen_blocks(widths, channels, 128, 2 * max(1, num_classes))


def disc_size(widths, downs, channels, num_classes, bias):
  """Hidden widths are those of the input."""
  return sizes.disc_blocks(
    widths, downs, channels, num_classes, bias, wide=False
  )


scaled = sizes.scaled
SIZES = {
  'SNGAN-32': (
    (32, 32, 3),
    0,
    gen_size(scaled(256, 1, 1, 1, 1), 3, 0),
    disc_size(scaled(128, 1, 1, 1, 1), 2, 3, 0, bias=False),
    (4_276_739, 1_053_824),
  ),
  'projection-32': (
    (32, 32, 3),
    10,
    gen_size(scaled(256, 1, 1, 1, 1), 3, 10),
    disc_size(scaled(128, 1, 1, 1, 1), 2, 3, 10, bias=False),
    (4_304_387, 1_055_104),
  ),
  'projection-128': (
    (128, 128, 3),
    1000,
    gen_size(scaled(64, 16, 16, 8, 4, 2, 1), 3, 1000),
    disc_size(scaled(64, 1, 2, 4, 8, 16, 16), 5, 3, 1000, bias=True),
    (41_996_931, 30_041_857),
  ),
  'SNGAN-64, grey': (
    (64, 64, 1),
    0,
    gen_size(scaled(64, 16, 8, 4, 2, 1), 1, 0),
    disc_size(scaled(64, 1, 2, 4, 8, 16), 5, 1, 0, bias=True),
    None,
  ),
}


@pytest.mark.parametrize('case', SIZES)
def test_sizes_are_the_published_ones(case):
  shape, num_classes, *by_formula, published = SIZES[case]
  found = [
    sum(math.prod(x.shape) for x in jax.tree.leaves(variables['params']))
    for player in ('gen', 'disc')
    for _, variables in [variables_of(player, shape, num_classes)]
  ]
  assert found == by_formula
  assert published is None or tuple(found) == published


def test_d_without_projection_at_128():
  _, variables = variables_of('disc', (128, 128, 3))
  found = [math.prod(x.shape) for x in jax.tree.leaves(variables['params'])]
  assert sum(found) == 29_017_857


@pytest.mark.parametrize('size', sampled([8, 16, 32, 64, 128], 8, 32, 64))
def test_images_and_logits(size):
  shape = (size, size, 1)
  for player, expected in (('gen', (3, *shape)), ('disc', (3,))):
    network, variables = variables_of(player, shape, 4, **TINY)
    inputs = inputs_of(player, shape, 4)
    output = jax.eval_shape(
      lambda v, network=network, inputs=inputs: network.apply(
        v, *inputs, train=False
      ),
      variables,
    )
    assert getattr(output, 'logits', output).shape == expected


@pytest.mark.parametrize('shape', [(28, 28, 1), (48, 48, 3), (32, 64, 3)])
def test_image_sizes_that_do_not_fit(shape):
  with pytest.raises(InputError, match=r'data\.image_size: .* 28|48|32 x 64'):
    make_pair('sngan', shape)


# --- What it is made of.


@pytest.mark.slow
def test_weights_start_as_glorot_uniform_with_a_gain_in_3x3_kernels():
  """Within the bound, and near it; but in G's last layer, gain 1."""
  for player, last in (('gen', 'Conv_0'), ('disc', None)):
    _, variables = variables_of(
      player, (32, 32, 3), 10, drawn, gen_width=24, disc_width=24
    )
    for path, leaf in flatten_dict(variables['params']).items():
      if path[-1] not in ('kernel', 'embedding'):
        continue
      *window, i, o = leaf.shape
      fans = math.prod(window) * (i + o)
      gain = 2 if tuple(window) == (3, 3) and path[0] != last else 1
      bound = math.sqrt(gain * 6 / fans)
      assert 0.85 * bound < np.abs(leaf).max() <= bound * (1 + 1e-6), path


def test_which_layers_are_normalised():
  """Spectral norm of every layer of D, the embedding too, and of none of G."""
  _, disc = variables_of('disc', (32, 32, 3), 5, **TINY)
  weights = [
    path
    for path in flatten_dict(disc['params'])
    if path[-1] in ('kernel', 'embedding')
  ]
  vectors = [p for p in flatten_dict(disc['batch_stats']) if p[-1][-2:] == '/u']
  assert len(weights) == len(vectors) == 12
  _, gen = variables_of('gen', (32, 32, 3), 5, **TINY)
  scales = {
    '/'.join(path): leaf.shape
    for path, leaf in flatten_dict(gen['params']).items()
    if path[-1] == 'scale'
  }
  blocks = {
    f'GeneratorBlock_{i}/ConditionalBatchNorm_{j}/scale': (5, 4)
    for i, j in itertools.product(range(3), range(2))
  }
  assert scales == blocks | {'BatchNorm_0/scale': (4,)}
  assert not any('/u' in path[-1] for path in flatten_dict(gen['batch_stats']))


def test_styles_follow_the_labels():
  plain, by_class = (
    make_pair('sngan', (8, 8, 1), num_classes=n) for n in (0, 3)
  )
  assert plain.gen.style.norm == 'batch'
  assert by_class.gen.style.norm == 'conditional'
  for pair in (plain, by_class):
    assert pair.gen.style.norm_epsilon == 2e-5
    assert pair.gen.style.norm_momentum == 0.9
    assert (pair.gen.style.weights, pair.disc.style.weights) == (
      'none',
      'spectral',
    )


@pytest.mark.slow
def test_g_draws_the_label_under_any_norm():
  """By its norm, or beside the latents."""
  for keys in ({}, dict(gen_norm='batch', gen_weights='spectral')):
    gen, variables = variables_of('gen', (8, 8, 1), 3, drawn, **TINY, **keys)
    variables = jax.tree.map(
      lambda x: x + 0.3 * np.random.default_rng(x.size).normal(size=x.shape),
      variables,
    )
    latents, given = inputs_of('gen', (8, 8, 1), 3)
    images, others = (
      gen.apply(variables, latents, {'labels': labels}, train=False)
      for labels in (given['labels'], given['labels'][::-1])
    )
    same = (images == others).all((1, 2, 3))
    np.testing.assert_array_equal(same, [False, True, False])


# --- The projection.


def logits_of(labels, disc, variables, images):
  given = {'labels': jnp.full(len(images), labels)}
  verdict, state = jax.jit(
    lambda variables, given: disc.apply(
      variables, images, given, train=False, mutable='intermediates'
    )
  )(variables, given)
  return np.float64(verdict.logits), state['intermediates']['features']


@pytest.mark.parametrize('weights', sampled(['none', 'spectral'], 'none'))
def test_projection_identity(weights):
  """logit(x, y1) - logit(x, y2) = <V_y1 - V_y2, h(x)>; h is a sum of pixels.

  And the mean over classes is the class-free part with the mean embedding.
  """
  shape, classes = (8, 8, 1), 3
  disc, variables = variables_of(
    'disc', shape, classes, drawn, disc_weights=weights, disc_width=6
  )
  images, _ = inputs_of('disc', shape)
  found = [logits_of(y, disc, variables, images) for y in range(classes)]
  logits, features = [one for one, _ in found], found[0][1]
  mixed, _ = logits_of(np.arange(3)[::-1], disc, variables, images)
  np.testing.assert_allclose(mixed, np.diag(logits[::-1]), rtol=1e-5)
  h = np.maximum(np.float64(features[-1]), 0).sum((1, 2))
  params = variables['params']
  table = np.float64(params['Embed_0']['embedding'])
  kernel = np.float64(params['Dense_0']['kernel'])
  if weights == 'spectral':
    stats = {
      p[-1]: x for p, x in flatten_dict(variables['batch_stats']).items()
    }
    for name, matrix in (
      ('Embed_0/embedding', table),
      ('Dense_0/kernel', kernel),
    ):
      u = np.float64(stats[f'{name}/u'][0])
      v = matrix @ u
      v /= np.linalg.norm(v)
      matrix /= np.linalg.norm(matrix.T @ v)
  for one, other in itertools.combinations(range(classes), 2):
    np.testing.assert_allclose(
      logits[one] - logits[other],
      h @ (table[one] - table[other]),
      rtol=1e-4,
      atol=1e-5,
    )
  np.testing.assert_allclose(
    np.mean(logits, axis=0),
    (h @ kernel)[:, 0] + h @ table.mean(axis=0),
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.slow
def test_every_hidden_layer_is_shown_in_order():
  disc, variables = variables_of('disc', (32, 32, 1), 2, drawn, **TINY)
  images, _ = inputs_of('disc', (32, 32, 1))
  _, features = logits_of(1, disc, variables, images)
  assert [f.shape for f in features] == [
    (3, size, size, 4) for size in (16, 8, 8, 8)
  ]


def test_bfloat16_is_respected():
  for player in ('gen', 'disc'):
    network, variables = variables_of(
      player, (8, 8, 1), 2, dtype=jnp.bfloat16, **TINY
    )
    inputs = inputs_of(player, (8, 8, 1), 2)
    output, state = jax.eval_shape(
      lambda v, network=network, inputs=inputs: network.apply(
        v, *inputs, train=False, capture_intermediates=_of_layers
      ),
      variables,
    )
    assert getattr(output, 'logits', output).dtype == jnp.float32
    kinds = {leaf.dtype for leaf in jax.tree.leaves(state['intermediates'])}
    assert kinds == {jnp.dtype(jnp.bfloat16)}


def _of_layers(module, method):
  del method
  return isinstance(module, nn.Conv | nn.Dense | nn.Embed)
