"""Architectures: sizes, values, statistics and the style they share."""

import dataclasses
import functools
import itertools
import math
import re

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from numpy.lib.stride_tricks import sliding_window_view
from scipy import special

from gan_jax.networks import NETWORKS, layers, network_keys
from gan_jax.networks.style import ACTIVATIONS, Style
from gan_jax.types import InputError
from tests.helpers import ENLARGING, ROOT, make_pair, output_of, sampled

SHAPE = (16, 16, 2)
LATENT_DIM, CLASSES, BATCH = 6, 3, 4
LABELS = np.arange(BATCH, dtype=np.int32) % CLASSES
GIVEN = {'labels': LABELS}
PLAYERS = ('gen', 'disc')
NARROW = {
  'mlp': dict(gen_widths=(5, 7), disc_widths=(6, 5)),
  'mlp_bn': dict(gen_widths=(5, 7), disc_widths=(6, 5)),
  'conv': dict(gen_widths=(5, 7), disc_widths=(3, 5)),
  'dcgan': dict(gen_width=3, disc_width=2),
  'wgan_gp_resnet': dict(gen_width=3, disc_width=3),
}
NAMES = sorted(NARROW)
DCGAN_CRITIC = ('wgan_gp_resnet', dict(critic='dcgan'))
VARIANTS = [*((name, {}) for name in NAMES), DCGAN_CRITIC]


def narrow(name, **keys):
  """A pair that is quick to compile."""
  return make_pair(name, SHAPE, **NARROW[name] | keys)


def inputs_of(player, shape=SHAPE, latent_dim=LATENT_DIM):
  """Latents or images that fill their range, float32 `[B, ...]`."""
  rng = np.random.default_rng(0)
  if player == 'gen':
    return rng.normal(size=(BATCH, latent_dim)).astype(np.float32)
  return rng.uniform(-1, 1, (BATCH, *shape)).astype(np.float32)


def init(network, x):
  return network.init(jax.random.key(1), x, GIVEN, train=False)


def shapes(network, x):
  """The shapes of a network's variables."""
  return jax.eval_shape(lambda: init(network, x))


def draw(network, x, seed=5):
  """Variables at random, of which none has the value that it starts with."""
  rng = np.random.default_rng(seed)

  def values(path, leaf):
    normal = rng.normal(size=leaf.shape)
    if path[0].key == 'params' and leaf.ndim > 1:
      normal *= 1.5 / math.sqrt(math.prod(leaf.shape[:-1]))
    elif path[-1].key in ('scale', 'var'):
      normal = np.exp(0.3 * normal)
    return np.float32(normal)

  return jax.tree_util.tree_map_with_path(values, shapes(network, x))


@functools.partial(jax.jit, static_argnums=0)
def train(network, variables, x, labels=LABELS):
  """(outputs, variables after a training call), as the game calls it."""
  y, new = network.apply(
    variables, x, {'labels': labels}, train=True, mutable=['batch_stats']
  )
  return output_of(y), {**variables, **new}


@functools.partial(jax.jit, static_argnums=0)
def evaluate(network, variables, x, labels=LABELS):
  y = network.apply(variables, x, {'labels': labels}, train=False)
  return output_of(y)


def test_every_network_is_tested():
  """Here, or in a file of its own."""
  others = ENLARGING - {'srgan'} | {'hologan', 'pigan'}  # test_posed.py
  for name in set(NETWORKS) - set(NAMES) - others:
    assert (ROOT / 'tests' / 'networks' / f'test_{name}.py').exists(), name


# --- Sizes: published totals, and sums by hand.


def dense(*widths):
  """Parameters of linear layers from width to width."""
  return sum(i * o + o for i, o in itertools.pairwise(widths))


def square(kernel, i, o, bias=True):
  """Parameters of one convolution."""
  return kernel * kernel * i * o + bias * o


def norms(*widths):
  """Scales and biases."""
  return 2 * sum(widths)


def sizes(name, shape, latent_dim=100, **keys):
  """Numbers of parameters, (gen, disc)."""
  totals = []
  for player in PLAYERS:
    network = getattr(make_pair(name, shape, **keys), player)
    x = inputs_of(player, shape, latent_dim)
    params = shapes(network, x)['params']
    totals.append(sum(math.prod(p.shape) for p in jax.tree.leaves(params)))
  return tuple(totals)


def test_size_of_dcgan_is_the_pytorch_tutorials():
  assert sizes('dcgan', (64, 64, 3)) == (3_576_704, 2_765_568)


def test_sizes_on_mnist():
  shape = (28, 28, 1)
  assert sizes('mlp', shape) == (1_486_352, 1_460_225)
  gen = 1_486_352 + norms(256, 512, 1024)
  assert sizes('mlp_bn', shape) == (gen, 533_505)
  gen = dense(100, 256, 512, 784) + norms(256, 512)
  assert sizes('conv', shape) == (gen, 23_873)
  plain = functools.partial(square, bias=False)
  gen = plain(7, 100, 128) + plain(4, 128, 64) + plain(4, 64, 1)
  disc = plain(4, 1, 64) + plain(4, 64, 128) + plain(7, 128, 1)
  assert sizes('dcgan', shape) == (gen + norms(128, 64), disc + norms(128))


def test_sizes_of_wgan_gp_resnet():
  """Appendix F of arXiv 1704.00028: width 128, three blocks up, four down."""
  shape, residual = (32, 32, 3), 2 * square(3, 128, 128)
  up = residual + square(1, 128, 128) + norms(128, 128)
  gen = dense(128, 4 * 4 * 128) + 3 * up + norms(128) + square(3, 128, 3)
  first = square(3, 3, 128) + square(3, 128, 128) + square(1, 3, 128)
  down = residual + square(1, 128, 128)
  disc = first + down + 2 * residual + dense(128, 1)
  assert sizes('wgan_gp_resnet', shape, 128) == (gen, disc)
  disc += 3 * norms(128, 128)  # none where the image enters
  assert sizes('wgan_gp_resnet', shape, disc_norm='layer')[1] == disc
  critic = dict(critic='dcgan', disc_width=8)
  disc = square(5, 3, 8) + square(5, 8, 16) + square(5, 16, 32)
  disc += dense(4 * 4 * 32, 1)
  assert sizes('wgan_gp_resnet', shape, **critic)[1] == disc
  disc += norms(16, 32)
  assert sizes('wgan_gp_resnet', shape, disc_norm='layer', **critic)[1] == disc


@pytest.mark.parametrize('embed_dim', [None, 9])
def test_size_of_the_labels(embed_dim):
  """An embedding joins the latents; a plane of pixels joins the image."""
  widths = dict(gen_widths=(5,), disc_widths=(6,))
  labels = dict(num_classes=CLASSES, embed_dim=embed_dim)
  plain = sizes('mlp', SHAPE, **widths)
  joined = sizes('mlp', SHAPE, **widths, **labels)
  assert [
    with_labels - without
    for with_labels, without in zip(joined, plain, strict=True)
  ] == [(CLASSES + 5) * (embed_dim or 50), (CLASSES + 6) * 16 * 16]


# --- Values: each architecture in NumPy, with whatever norm has parameters.


def np_dense(p, i, x):
  return x @ p[f'Dense_{i}']['kernel'] + p[f'Dense_{i}']['bias']


def np_norm(p, i, x):
  """Batch norm with running statistics, layer norm, or nothing."""
  if f'BatchNorm_{i}' in p:
    layer = p[f'BatchNorm_{i}']
    x = (x - layer['mean']) / np.sqrt(layer['var'] + 1e-5)
    return x * layer['scale'] + layer['bias']
  if f'LayerNorm_{i}' in p:
    layer, axes = p[f'LayerNorm_{i}'], tuple(range(1, x.ndim))
    x = x - x.mean(axes, keepdims=True)
    x = x / np.sqrt(x.var(axes, keepdims=True) + 1e-6)
    return x * layer['scale'] + layer['bias']
  return x


def np_conv(layer, x, stride=1, pads=(1, 1)):
  """The definition of a convolution, padded alike along both axes."""
  kernel = layer['kernel']
  x = np.pad(x, ((0, 0), pads, pads, (0, 0)))
  windows = sliding_window_view(x, kernel.shape[:2], (1, 2))
  y = np.einsum('bhwcij,ijco->bhwo', windows[:, ::stride, ::stride], kernel)
  return y + layer.get('bias', 0)


def np_up(layer, x, stride, pads):
  """A transposed convolution: pixels set apart, and a convolution."""
  b, h, w, c = x.shape
  apart = np.zeros((b, (h - 1) * stride + 1, (w - 1) * stride + 1, c))
  apart[:, ::stride, ::stride] = x
  return np_conv(layer, apart, 1, pads)


def np_relu(x, slope=0.0):
  return np.where(x > 0, x, slope * x)


leaky = functools.partial(np_relu, slope=0.2)


def np_pool(x, reduce):
  b, h, w, c = x.shape
  x = x[:, : h // 2 * 2, : w // 2 * 2]
  return reduce(x.reshape(b, h // 2, 2, w // 2, 2, c), (2, 4))


def np_double(x):
  return np.kron(x, np.ones((1, 2, 2, 1)))


def mlp_gen(p, z):
  for i in range(2):
    z = leaky(np_norm(p, i, np_dense(p, i, z)))
  return np.tanh(np_dense(p, 2, z)).reshape(-1, *SHAPE)


def mlp_disc(p, x):
  h, features = x.reshape(len(x), -1), []
  for i in range(2):
    h = leaky(np_norm(p, i, np_dense(p, i, h)))
    features.append(h)
  return np_dense(p, 2, h)[:, 0], features


def conv_disc(p, x):
  features = []
  for i in range(2):
    x = leaky(np_norm(p, i, np_conv(p[f'Conv_{i}'], x)))
    x = np_pool(x, np.max)
    features.append(x)
  return np_dense(p, 0, x.reshape(len(x), -1))[:, 0], features


def dcgan_gen(p, z):
  h = np_up(p['ConvTranspose_0'], z[:, None, None], 1, (3, 3))
  h = np_up(p['ConvTranspose_1'], np_relu(np_norm(p, 0, h)), 2, (2, 2))
  h = np_up(p['ConvTranspose_2'], np_relu(np_norm(p, 1, h)), 2, (2, 2))
  return np.tanh(h)


def dcgan_disc(p, x):
  first = leaky(np_conv(p['Conv_0'], x, 2))
  second = leaky(np_norm(p, 0, np_conv(p['Conv_1'], first, 2)))
  logits = np_conv(p['Conv_2'], second, 1, (0, 0))
  return logits[:, 0, 0, 0], [first, second]


def resnet_gen(p, z):
  x = np_dense(p, 0, z).reshape(-1, 4, 4, 3)
  for i in range(2):
    block = p[f'GeneratorBlock_{i}']
    h = np_double(np_relu(np_norm(block, 0, x)))
    h = np_relu(np_norm(block, 1, np_conv(block['Conv_0'], h)))
    x = np_conv(block['Conv_2'], np_double(x), 1, (0, 0)) + np_conv(
      block['Conv_1'], h
    )
  return np.tanh(np_conv(p['Conv_0'], np_relu(np_norm(p, 0, x))))


def resnet_disc(p, x):
  features = []
  for i in range(4):
    block = p[f'CriticBlock_{i}']
    h = np_relu(np_norm(block, 0, x)) if i else x
    h = np_norm(block, 1, np_conv(block['Conv_0'], h))
    h = np_conv(block['Conv_1'], np_relu(h))
    if i < 2:  # a 1x1 convolution and pooling commute
      x = np_conv(block['Conv_2'], x, 1, (0, 0))
    x = np_pool(x + h, np.mean) if i < 2 else x + h
    features.append(x)
  return np_dense(p, 0, np_relu(x).mean((1, 2)))[:, 0], features


def dcgan_critic(p, x):
  first = np_relu(np_conv(p['Conv_0'], x, 2, (1, 2)))
  second = np_relu(np_norm(p, 0, np_conv(p['Conv_1'], first, 2, (1, 2))))
  logits = np_dense(p, 0, second.reshape(len(x), -1))
  return logits[:, 0], [first, second]


GENERATORS = {
  'mlp': mlp_gen,
  'mlp_bn': mlp_gen,
  'conv': mlp_gen,
  'dcgan': dcgan_gen,
  'wgan_gp_resnet': resnet_gen,
}
DISCRIMINATORS = {
  'mlp': mlp_disc,
  'mlp_bn': mlp_disc,
  'conv': conv_disc,
  'dcgan': dcgan_disc,
  'wgan_gp_resnet': resnet_disc,
}


def layers_of(variables):
  """Parameters and statistics of each layer together, in float64."""
  flat = (flatten_dict(collection) for collection in variables.values())
  merged = {path: np.float64(x) for part in flat for path, x in part.items()}
  return unflatten_dict(merged)


def assert_close(ours, expected):
  """To 1e-5 of the largest value: small ones are sums that cancel."""
  assert ours.shape == expected.shape
  assert ours.dtype == np.float32
  assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()


CASES = [
  (name, keys | dict(num_classes=num_classes))
  for name, keys in VARIANTS
  for num_classes in (0, CLASSES)
] + [
  ('mlp', dict(gen_norm='layer', disc_norm='layer')),
  ('wgan_gp_resnet', dict(gen_norm='layer', disc_norm='layer')),
]


@pytest.mark.parametrize(('name', 'keys'), CASES)
def test_against_numpy(name, keys):
  """Images, logits and features, in order, of random parameters."""
  gen, disc = narrow(name, **keys)
  latents, images = (inputs_of(player) for player in PLAYERS)
  generate = GENERATORS[name]
  discriminate = DISCRIMINATORS[name]
  if keys.get('critic') == 'dcgan':
    discriminate = dcgan_critic

  variables = draw(gen, latents)
  made = evaluate(gen, variables, latents)
  p = layers_of(variables)
  if keys.get('num_classes'):
    others = evaluate(gen, variables, latents, LABELS[::-1])
    changed = (made != others).any((1, 2, 3))
    assert changed.tolist() == [False, True, True, False]
    codes = p['Embed_0']['embedding'][LABELS]
    latents = np.concatenate([latents, codes], axis=1)
  assert_close(made, generate(p, latents))

  variables = draw(disc, images)
  apply = jax.jit(
    lambda x, labels: disc.apply(
      variables, x, {'labels': labels}, train=False, mutable='intermediates'
    )
  )
  (logits, _), state = apply(images, LABELS)
  p = layers_of(variables)
  if keys.get('num_classes'):
    changed = logits != apply(images, LABELS[::-1])[0].logits
    assert changed.tolist() == [False, True, True, False]
    plane = p['Embed_0']['embedding'][LABELS].reshape(-1, 16, 16, 1)
    images = np.concatenate([images, plane], axis=-1)
  expected, features = discriminate(p, images)
  assert_close(logits, expected)
  sown = state['intermediates']['features']
  for ours, theirs in zip(sown, features, strict=True):
    assert_close(ours, theirs)


# --- Ranges, labels, image sizes.


@pytest.mark.parametrize('name', NAMES)
def test_images_fill_their_range_and_stay_in_it(name):
  gen = narrow(name).gen
  latents = 1e4 * inputs_of('gen')
  images = evaluate(gen, draw(gen, latents), latents)
  assert 0.9 < images.max() <= 1
  assert -0.9 > images.min() >= -1


@pytest.mark.parametrize('name', NAMES)
def test_unconditional_networks_need_no_labels(name):
  for player, network in zip(PLAYERS, narrow(name), strict=True):
    x = inputs_of(player)
    with_labels, without = (
      jax.eval_shape(
        functools.partial(network.apply, train=False),
        shapes(network, x),
        x,
        given,
      )
      for given in (GIVEN, {})
    )
    assert with_labels == without


@pytest.mark.parametrize('name', ['dcgan', 'wgan_gp_resnet'])
@pytest.mark.parametrize(
  ('size', 'base'), [(8, 4), (28, 7), (32, 4), (48, 6), (64, 4)]
)
def test_square_images_come_from_a_base_of_4_to_7_pixels(name, size, base):
  shape = (size, size, 3)
  pair = make_pair(name, shape, gen_width=2, disc_width=2)
  outputs, variables = zip(
    *(
      jax.eval_shape(
        lambda x, network=network: network.init_with_output(
          jax.random.key(0), x, train=True
        ),
        inputs_of(player, shape),
      )
      for player, network in zip(PLAYERS, pair, strict=True)
    ),
    strict=True,
  )
  shapes = [output_of(y).shape for y in outputs]
  assert shapes == [(BATCH, *shape), (BATCH,)]
  layer = {'dcgan': 'ConvTranspose_0', 'wgan_gp_resnet': 'Dense_0'}[name]
  kernel = variables[0]['params'][layer]['kernel']
  width = kernel.shape[-1]
  if name == 'dcgan':
    assert kernel.shape[:2] == (base, base)
  else:
    assert width == base * base * 2


@pytest.mark.parametrize(
  ('size', 'depth', 'times'),
  [(8, None, 1), (16, None, 2), (128, None, 5), (16, 1, 1), (16, 4, 4)],
)
def test_halvings(size, depth, times):
  assert layers.halvings((size, size, 3), depth, 'dcgan') == times


# --- Statistics.

NORM_CASES = [
  (name, player, norm)
  for name in NAMES
  for player, valid in (
    ('gen', ('none', 'batch', 'layer', 'spectral')),
    ('disc', (*NETWORKS[name].disc_norms, 'spectral')),
  )
  for norm in valid
  # Has a reference: tests/networks/test_minibatch_layers.py.
  if norm != 'virtual'
]


@pytest.mark.parametrize(
  ('name', 'player', 'norm'), sampled(NORM_CASES, *NORM_CASES[::4])
)
def test_training_call_updates_statistics(name, player, norm):
  """All of them, in batch norms and spectral weights; others have none."""
  keys = {f'{player}_norm': norm, 'num_classes': CLASSES}
  network = getattr(narrow(name, norm_groups=1, **keys), player)
  x = inputs_of(player)
  if norm in ('none', 'layer', 'instance', 'pixel', 'group'):
    assert set(shapes(network, x)) == {'params'}
    return
  before = draw(network, x)
  _, after = train(network, before, x)
  assert after.keys() == {'params', 'batch_stats'}
  changed = jax.tree.map(
    lambda old, new: bool((old != new).any()),
    before['batch_stats'],
    after['batch_stats'],
  )
  assert all(jax.tree.leaves(changed))


@pytest.mark.parametrize('norm', ['batch', 'spectral'])
def test_evaluation_changes_nothing(norm):
  disc, x = narrow('conv', disc_norm=norm).disc, inputs_of('disc')
  before = draw(disc, x)
  _, after = disc.apply(before, x, GIVEN, train=False, mutable=['batch_stats'])
  jax.tree.map(
    np.testing.assert_array_equal, before['batch_stats'], after['batch_stats']
  )


class Normalise(nn.Module):
  style: Style

  @nn.compact
  def __call__(self, x, given=None, *, train):
    return self.style.normalise(x, train=train)


@pytest.mark.parametrize('momentum', [0.9, 0.25])
def test_batch_norm(momentum):
  """Means over all but the channels; momentum is the old value's share."""
  layer = Normalise(Style(norm='batch', norm_momentum=momentum))
  x = 0.3 + inputs_of('disc') * np.array([0.5, 2.0], np.float32)
  variables = draw(layer, x)
  old = variables['batch_stats']['BatchNorm_0']
  y, new = train(layer, variables, x)
  mean, var = x.mean((0, 1, 2), np.float64), x.var((0, 1, 2), np.float64)
  running = {
    'mean': momentum * old['mean'] + (1 - momentum) * mean,
    'var': momentum * old['var'] + (1 - momentum) * var,
  }
  params = variables['params']['BatchNorm_0']

  def expected(mean, var):
    return (x - mean) / np.sqrt(var + 1e-5) * params['scale'] + params['bias']

  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-5),
    new['batch_stats']['BatchNorm_0'],
    running,
  )
  assert_close(y, expected(mean, var))
  assert_close(evaluate(layer, new, x), expected(**running))


@pytest.mark.parametrize('name', NAMES)
def test_default_momentum(name):
  momentum = 0.8 if name == 'mlp_bn' else 0.9
  for style in NETWORKS[name].style:
    assert style.norm_momentum == (0.9 if style.norm == 'none' else momentum)


@pytest.mark.parametrize('norm', ['none', 'spectral'])
def test_no_norm_of_the_activations(norm):
  layer, x = Normalise(Style(norm=norm)), inputs_of('disc')
  assert not shapes(layer, x)
  np.testing.assert_array_equal(evaluate(layer, {}, x), x)


@pytest.mark.parametrize('player', PLAYERS)
def test_devices_normalise_as_one(player):
  """Two devices with half a batch each, or one with all of it."""
  x = inputs_of(player) * np.linspace(0.1, 2, BATCH)[
    (slice(None),) + (None,) * (1 if player == 'gen' else 3)
  ].astype(np.float32)
  alone, shared = (
    getattr(narrow('dcgan', axis_name=axis_name), player)
    for axis_name in (None, 'batch')
  )
  variables = draw(alone, x)
  expected, statistics = train(alone, variables, x)
  over_devices = jax.vmap(
    lambda x: shared.apply(variables, x, train=True, mutable=['batch_stats']),
    axis_name='batch',
  )
  y, new = jax.jit(over_devices)(x.reshape(2, BATCH // 2, *x.shape[1:]))
  assert_close(output_of(y).reshape(expected.shape), expected)
  for device in range(2):
    jax.tree.map(
      lambda ours, theirs, device=device: assert_close(ours[device], theirs),
      new['batch_stats'],
      statistics['batch_stats'],
    )


class Apply(nn.Module):
  style: Style

  @nn.compact
  def __call__(self, x, given=None, *, train):
    layer = nn.Dense(4) if x.ndim == 2 else layers.Conv(4, 3)
    return self.style.apply(layer, x, train=train)


@pytest.mark.parametrize('layer', ['Dense_0', 'Conv_0'])
def test_spectral_norm(layer):
  """One power iteration a training call brings the largest value to 1."""
  network, x = Apply(Style(norm='spectral')), inputs_of('disc')
  if layer == 'Dense_0':
    x = x[:, :3].reshape(BATCH, -1)
  variables = draw(network, x)
  params = variables['params'][layer]
  shape = params['kernel'].shape
  u, _, v = np.linalg.svd(
    np.float64(params['kernel']).reshape(-1, 4), full_matrices=False
  )
  kernel = (u * [3.0, 1.0, 0.5, 0.25]) @ v
  params['kernel'] = np.float32(kernel.reshape(shape))

  [statistics] = variables['batch_stats'].values()
  start = statistics[f'{layer}/kernel/u'][0]
  _, once = train(network, variables, x)
  [statistics] = once['batch_stats'].values()
  expected = kernel.T @ (kernel @ start)
  expected /= np.linalg.norm(expected)
  assert_close(statistics[f'{layer}/kernel/u'][0], expected)
  for _ in range(12):  # the rest shrinks ninefold each time
    y, variables = train(network, variables, x)
  params = {'kernel': kernel.reshape(shape) / 3, 'bias': params['bias']}
  compute = (
    np_dense if layer == 'Dense_0' else lambda p, _, x: np_conv(p[layer], x)
  )
  assert_close(y, compute({layer: params}, 0, x))


@pytest.mark.parametrize(('name', 'keys'), VARIANTS)
def test_spectral_norm_of_every_layer(name, keys):
  """Each kernel of D has its own u, and loses its largest singular value."""
  disc, x = narrow(name, disc_norm='spectral', **keys).disc, inputs_of('disc')
  variables = draw(disc, x)
  for _ in range(60):
    _, variables = train(disc, variables, x)

  def named(collection, last):
    leaves = jax.tree_util.tree_leaves_with_path(variables[collection])
    names = ['/'.join(key.key for key in path) for path, _ in leaves]
    return {
      re.sub(r'SpectralNorm_\d+/', '', name).removesuffix(last): leaf
      for name, (_, leaf) in zip(names, leaves, strict=True)
      if name.endswith(last)
    }

  kernels = named('params', '/kernel')
  sigmas = named('batch_stats', '/kernel/sigma')
  assert kernels.keys() == sigmas.keys()
  for name, kernel in kernels.items():
    values = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[1]
    # Slow where the second value is close, and never beyond the first.
    np.testing.assert_allclose(values[0] / sigmas[name], 1.0, rtol=0.01)


# --- Starting values, and small layers.


def starting_values(**keys):
  """Initial parameters of a DCGAN pair, by kind."""
  found = {'kernel': [], 'scale': [], 'bias': []}
  pair = make_pair('dcgan', SHAPE, gen_width=16, disc_width=16, **keys)
  for player, network in zip(PLAYERS, pair, strict=True):
    params = init(network, inputs_of(player))['params']
    for path, leaf in flatten_dict(params).items():
      found[path[-1]].append(np.ravel(leaf))
  return found


def assert_normal(values, mean, std):
  """Within five standard errors."""
  tolerance = 5 * std / np.sqrt(values.size)
  assert abs(values.mean() - mean) < tolerance
  assert abs(values.std() - std) < tolerance


def test_dcgan_starts_as_in_the_paper():
  """Kernels N(0, .02), scales N(1, .02), nothing else but zero biases."""
  found = starting_values()
  assert len(found['kernel']) == 6
  for values in found['kernel']:
    assert_normal(values, 0.0, 0.02)
  assert_normal(np.concatenate(found['scale']), 1.0, 0.02)
  assert not np.concatenate(found['bias']).any()


def test_dcgan_starts_alike_under_spectral_norm():
  for values in starting_values(disc_norm='spectral')['kernel']:
    assert_normal(values, 0.0, 0.02)


@pytest.mark.parametrize('name', sorted(ACTIVATIONS))
def test_activations(name):
  x = np.array([-30.0, -2.0, -0.5, 0.5, 3.0])
  cubic = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
  expected = {
    'relu': np.maximum(x, 0),
    'leaky_relu': np.where(x > 0, x, 0.2 * x),
    'elu': np.where(x > 0, x, np.expm1(x)),
    'gelu': x * (1 + np.tanh(cubic)) / 2,
    'silu': x * special.expit(x),
    'tanh': np.tanh(x),
  }[name]
  # gelu cancels at -2: its value is .0454 of 1.
  np.testing.assert_allclose(Style(name).activate(x), expected, rtol=1e-5)


@pytest.mark.parametrize('size', [(4, 6), (5, 7)])
def test_the_gradient_of_a_maximum_goes_to_the_first(size):
  """As in the window reduction, which takes eight times as long on the CPU."""
  rng = np.random.default_rng(0)
  x = rng.integers(0, 3, (2, *size, 3)).astype(np.float32)  # many are equal
  weights = rng.normal(size=layers.max_pool(x).shape)

  def gradient(pool):
    return jax.grad(lambda x: (weights * pool(x)).sum())

  expected = gradient(lambda x: nn.max_pool(x, (2, 2), (2, 2)))(x)
  found = jax.jit(gradient(layers.max_pool))
  np.testing.assert_array_equal(found(x), expected)
  assert 'scatter' not in found.lower(x).as_text()
  for at in np.ndindex(2, 2):
    y = x.copy()
    y[0, at[0], at[1], 0] = np.nan
    assert np.isnan(layers.max_pool(y)[0, 0, 0, 0])


@pytest.mark.parametrize('size', [(4, 6), (5, 7)])
def test_pooling(size):
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
  np.testing.assert_array_equal(layers.max_pool(x), np_pool(x, np.max))
  if size == (4, 6):
    assert_close(layers.mean_pool(x), np_pool(np.float64(x), np.mean))
  np.testing.assert_array_equal(layers.upsample(x), np_double(x))


# --- Refusals.


@pytest.mark.parametrize(
  ('name', 'keys', 'message'),
  [
    ('vae', {}, f'network.name: .*vae.*: {", ".join(sorted(NETWORKS))}$'),
    ('mlp', {'gen_width': 8}, 'network.gen_width: mlp .*gen_widths'),
    ('dcgan', {'gen_widths': (8,)}, 'network.gen_widths: dcgan .*gen_width'),
    ('dcgan', {'critic': 'dcgan'}, 'network.critic: dcgan has no such key'),
    ('mlp', {'gen_norm': 'switch'}, 'network.gen_norm: .*batch, .*layer, none'),
    ('mlp', {'disc_norm': 'switch'}, 'network.disc_norm: .*layer, none'),
    ('mlp', {'gen_norm': 'instance'}, 'network.gen_norm: .*layer, none'),
    (
      'dcgan',
      {'gen_norm': 'adain'},
      'network.gen_norm: adain .*styles.* none,',
    ),
    (
      'dcgan',
      {'disc_norm': 'conditional'},
      'network.disc_norm: conditional .* conditional=True',
    ),
    (
      'mlp',
      {'gen_weights': 'virtual'},
      'network.gen_weights: .*equalised, none, spectral',
    ),
    (
      'mlp',
      {'disc_norm': 'spectral', 'disc_weights': 'equalised'},
      'network.disc_norm: spectral .* equalised; leave one',
    ),
    ('mlp', {'norm_groups': 0}, 'network.norm_groups: 0 .*above 0'),
    (
      'wgan_gp_resnet',
      {'disc_norm': 'batch'},
      'network.disc_norm: .*layer, none, pixel',
    ),
    ('mlp', {'gen_activation': 'sin'}, 'network.gen_activation: .*elu, gelu'),
    ('mlp', {'disc_activation': 'sin'}, 'network.disc_activation: .*silu'),
    (
      'wgan_gp_resnet',
      {'critic': 'mlp'},
      'network.critic: .*valid: dcgan, resnet',
    ),
    (
      'dcgan',
      {'gen_width': 0},
      'network.gen_width: 0 is no whole number above 0',
    ),
    ('mlp', {'disc_widths': (4, -1)}, 'network.disc_widths: .*above 0'),
    ('mlp', {'embed_dim': -1}, 'network.embed_dim: -1 .*above 0'),
    ('mlp', {'norm_momentum': 0.0}, 'network.norm_momentum: .*between 0 and 1'),
    ('dcgan', {'depth': 5}, 'network.depth: dcgan .*16 pixels 5 times'),
  ],
)
def test_bad_keys(name, keys, message):
  with pytest.raises(InputError, match=message):
    make_pair(name, SHAPE, **keys)


@pytest.mark.parametrize('momentum', [1.5, float('nan')])
def test_norm_momentum_is_a_share(momentum):
  with pytest.raises(InputError, match='norm_momentum: '):
    make_pair('mlp_bn', SHAPE, norm_momentum=momentum)


@pytest.mark.parametrize(
  ('name', 'size', 'keys'),
  [
    ('dcgan', 30, {}),
    ('dcgan', 7, {}),
    ('wgan_gp_resnet', 20 + 2, {}),
    ('wgan_gp_resnet', 10, {}),  # a base of 5, and no second halving
    ('conv', 7, {}),
    ('conv', 15, {'disc_widths': (2, 2, 2, 2)}),
  ],
)
def test_image_sizes_that_do_not_fit(name, size, keys):
  with pytest.raises(InputError, match=f'data.image_size: .*{size}'):
    make_pair(name, (size, size, 1), **keys)


def test_sizes_that_just_fit():
  make_pair('conv', (8, 8, 1))
  make_pair('conv', (16, 16, 1), disc_widths=(2, 2, 2, 2))
  make_pair('wgan_gp_resnet', (10, 10, 1), critic='dcgan')


@pytest.mark.parametrize(
  ('key', 'value', 'players'),
  [
    ('gen_activation', 'elu', ['gen']),
    ('disc_activation', 'elu', ['disc']),
    ('gen_norm', 'layer', ['gen']),
    ('disc_norm', 'layer', ['disc']),
    ('gen_weights', 'spectral', ['gen']),
    ('disc_weights', 'equalised', ['disc']),
    ('norm_groups', 4, ['gen', 'disc']),
    ('norm_momentum', 0.5, ['gen', 'disc']),
    ('embed_dim', 7, ['gen']),
  ],
)
def test_style_keys_are_for_their_players_alone(key, value, players):
  default = make_pair('mlp_bn', SHAPE)
  changed = make_pair('mlp_bn', SHAPE, **{key: value})
  for player in PLAYERS:
    changes = {key.removeprefix(f'{player}_'): value}
    expected = getattr(default, player).style
    if player in players:
      expected = dataclasses.replace(expected, **changes)
    assert getattr(changed, player).style == expected


@pytest.mark.parametrize('name', NAMES)
def test_keys_left_at_none_keep_the_default(name):
  keys = network_keys(name)
  assert {'gen_norm', 'disc_norm', 'norm_momentum', 'embed_dim'} < set(keys)
  assert make_pair(name, SHAPE, **dict.fromkeys(keys)) == make_pair(name, SHAPE)


@pytest.mark.parametrize('name', ['dcgan', 'wgan_gp_resnet'])
def test_images_must_be_square(name):
  with pytest.raises(InputError, match=r'data\.image_size: .* 16 x 8'):
    make_pair(name, (16, 8, 1))
