"""BigGAN: published sizes, what enters its norms, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax.networks import make_networks
from gan_jax.networks.norms import BatchNorm, ModulatedBatchNorm, rows
from gan_jax.types import InputError
from tests.helpers import make_pair, sampled, task_of
from tests.networks import residual_sizes as sizes

CIFAR = dict(shared_embedding=False, hierarchy=False)
# Side, classes, latents, unit, keys -> widths of G and D, halvings of D,
# attention's channels in both, and the published totals.
PUBLISHED = {
  'CIFAR script': (
    (32, 10, 128, 64, CIFAR),
    ((4, 4, 4, 4), (4, 4, 4, 4), 2, (0, 0)),
    (4_304_387, 4_207_361),
  ),
  'BigGAN-32': (
    (32, 10, 128, 96, {}),
    ((4, 4, 4, 4), (4, 4, 4, 4), 2, (0, 0)),
    (9_360_899, 9_456_769),
  ),
  'BigGAN-64': (
    (64, 1000, 120, 64, {}),
    ((16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4, (256, 64)),
    (31_969_540, 20_571_842),
  ),
  'BigGAN-128': (
    (128, 1000, 120, 96, {}),
    ((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5, (192, 96)),
    (70_433_988, 87_982_370),
  ),
}


@pytest.mark.parametrize(
  'case', sampled(PUBLISHED, 'CIFAR script', 'BigGAN-32')
)
def test_sizes_are_the_published_ones(case):
  (side, classes, latents, unit, keys), geometry, published = PUBLISHED[case]
  gen_widths, disc_widths, downs, channels = geometry
  part, embedding = latents, 0
  norms = 2 * classes  # a table each
  if not keys:
    part, embedding = latents // len(gen_widths), 128 * classes
    norms = 2 * (128 + part)  # two matrices
  gen = embedding + sizes.gen_blocks(
    sizes.scaled(unit, *gen_widths), 3, part, norms
  )
  disc = sizes.disc_blocks(
    sizes.scaled(unit, *disc_widths), downs, 3, classes, bias=True, wide=True
  )
  gen, disc = (
    n + sizes.attention(c) for n, c in zip((gen, disc), channels, strict=True)
  )
  found = sizes.sizes_of(
    'biggan',
    (side, side, 3),
    classes,
    latents,
    gen_width=unit,
    disc_width=unit,
    **keys,
  )
  assert found == (gen, disc) == published


# --- What enters the norms.


def tiny(num_classes=3, **keys):
  keys = dict(gen_width=2, disc_width=2, embed_dim=5) | keys
  return make_pair('biggan', (16, 16, 1), num_classes=num_classes, **keys)


def generator(latent_dim=9, **keys):
  """G with weights at random, variables, latents and labels."""
  gen = tiny(**keys).gen
  rng = np.random.default_rng(0)
  latents = rng.normal(size=(4, latent_dim)).astype(np.float32)
  given = {'labels': np.array([0, 1, 2, 0])}
  init = jax.jit(
    lambda: gen.init(jax.random.key(0), latents, given, train=False)
  )
  return gen, init(), latents, given


def test_norms_are_one_plus_what_their_layers_say():
  x = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype(np.float32)
  zeros, some = jnp.zeros((4, 2)), jnp.arange(8.0).reshape(4, 2)

  def of(layer, *inputs):
    variables = layer.init(jax.random.key(0), x, *inputs, train=False)
    return layer.apply(
      variables, x, *inputs, train=True, mutable='batch_stats'
    )[0]

  plain = of(BatchNorm(0.9))
  modulated = of(ModulatedBatchNorm(0.9), zeros, zeros)
  np.testing.assert_array_equal(modulated, plain)
  modulated = of(ModulatedBatchNorm(0.9), some, 2 * some)
  each = some[:, None, None]
  np.testing.assert_allclose(
    modulated, (1 + each) * plain + 2 * each, rtol=1e-5, atol=1e-6
  )


@pytest.mark.slow
def test_each_part_of_the_latents_enters_at_its_place():
  """A part, or a label, says nothing where the layers of its norms are 0."""
  gen, variables, latents, given = generator()
  params = flatten_dict(variables['params'])
  of_norms = [p for p in params if p[0][:3] == 'Gen' and p[1][:5] == 'Dense']
  assert len(of_norms) == 2 * 4
  assert all(params[p].shape == (5 + 3, 8) for p in of_norms)

  def images(latents, labels, without=()):
    changed = {
      path: 0.0 * leaf if path in of_norms and path[0] in without else leaf
      for path, leaf in params.items()
    }
    return draw(changed, latents, labels)

  @jax.jit
  def draw(flat, latents, labels):
    own = {**variables, 'params': unflatten_dict(flat)}
    return gen.apply(own, latents, {'labels': labels}, train=False)

  labels, blocks = given['labels'], ['GeneratorBlock_0', 'GeneratorBlock_1']
  for part in range(3):
    moved = latents.copy()
    moved[:, 3 * part : 3 * part + 3] += 1.0
    for without in ([], blocks[:1], blocks[1:], blocks):
      heard = part == 0 or blocks[part - 1] not in without
      same = images(moved, labels, without) == images(latents, labels, without)
      assert same.all() != heard, (part, without)
  others = np.array([2, 2, 0, 1])
  assert (images(latents, others) != images(latents, labels)).any()
  np.testing.assert_array_equal(
    images(latents, others, blocks), images(latents, labels, blocks)
  )


def test_the_embedding_is_shared_and_not_normalised():
  gen, variables, _, _ = generator()
  paths = flatten_dict(variables['params'])
  assert [p for p in paths if 'embedding' in p] == [('Embed_0', 'embedding')]
  kernels = [p for p in paths if p[-1] == 'kernel']
  vectors = [
    p for p in flatten_dict(variables['batch_stats']) if p[-1][-2:] == '/u'
  ]
  assert len(kernels) == len(vectors)
  assert gen.style.norm == 'conditional'


def test_labels_may_be_mixed():
  """Shares of one class are its label; halves lie between, linearly."""
  gen, variables, latents, given = generator()
  one_hot = np.eye(3, dtype=np.float32)[given['labels']]

  @jax.jit
  def draw(labels):
    return gen.apply(variables, latents, {'labels': labels}, train=False)

  np.testing.assert_allclose(
    draw(one_hot), draw(given['labels']), rtol=1e-5, atol=1e-6
  )
  mixed = draw(0.5 * one_hot + 0.5 * one_hot[:, [1, 2, 0]])
  assert np.abs(mixed - draw(one_hot)).max() > 1e-4
  table = jnp.arange(6.0).reshape(3, 2)
  np.testing.assert_array_equal(
    rows(table, jnp.array([2, 0])), [[4.0, 5.0], [0.0, 1.0]]
  )
  np.testing.assert_allclose(
    rows(table, jnp.array([[0.25, 0.75, 0.0]])), [[1.5, 2.5]]
  )


@pytest.mark.parametrize(
  'init', sampled(['orthogonal', 'normal'], 'orthogonal')
)
def test_weights_start_as_told(init):
  gen, disc = tiny(init=init, gen_width=8)
  given = {'labels': np.zeros(2, np.int32)}
  variables = jax.jit(
    lambda: gen.init(jax.random.key(0), np.zeros((2, 9)), given, train=False)
  )()
  for path, leaf in flatten_dict(variables['params']).items():
    if path[-1] not in ('kernel', 'embedding'):
      continue
    matrix = np.float64(leaf).reshape(-1, leaf.shape[-1])
    if init == 'normal':
      few = 4 / np.sqrt(2 * matrix.size)
      assert abs(matrix.std() / 0.02 - 1) < few, path
      continue
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(
      short @ short.T, np.eye(len(short)), atol=1e-5, err_msg=str(path)
    )
  assert disc.inits.block is disc.inits.other


# --- What is refused.


@pytest.mark.parametrize(
  ('keys', 'says'),
  [
    (dict(num_classes=0, gen_norm='adain'), 'network.name: .*conditional=True'),
    (dict(num_classes=0), 'gen_norm: .*no labels; set conditional=True$'),
    (dict(shared_embedding=False), 'network.hierarchy: .*both to False'),
    (CIFAR | dict(gen_norm='adain'), 'network.gen_norm: .*take conditional'),
    (
      dict(gen_width=9, attention=(8,)),
      'network.attention: .*8 pixels has 36; .*8 divides',
    ),
    (dict(init='glorot'), 'network.init: .*normal, orthogonal'),
    (dict(attention=(16,)), 'network.attention: .*16 pixels; .*from 8'),
    (dict(gen_norm='batch'), 'network.gen_norm: .*adain, conditional'),
  ],
)
def test_one_line_for_what_cannot_be(keys, says):
  with pytest.raises(InputError, match=says):
    tiny(**keys)


def test_latents_that_cannot_be_split_say_what_can():
  with pytest.raises(InputError, match=r'latent_dim: 10 .*3 .*take 9 or 12'):
    generator(latent_dim=10)
  with pytest.raises(InputError, match=r'latent_dim: 2 .*take 3, or'):
    generator(latent_dim=2)
  gen = tiny(hierarchy=False).gen
  given = {'labels': np.zeros(2, np.int32)}
  jax.eval_shape(
    lambda: gen.init(jax.random.key(0), np.zeros((2, 10)), given, train=False)
  )


def test_codes_join_every_vector_and_are_not_split():
  """Nine numbers of noise in three parts; five of codes in each block."""
  task = task_of((16, 16, 1), 3)._replace(codes=(4, 1))
  gen = make_networks('biggan', task, gen_width=2, embed_dim=5).gen
  given = {'labels': np.zeros(2, np.int32)}

  def init(noise):
    latents = np.zeros((2, noise + 5))
    return jax.eval_shape(
      lambda: gen.init(jax.random.key(0), latents, given, train=False)
    )

  params = flatten_dict(init(9)['params'])
  assert params['Dense_0', 'kernel'].shape == (3, 16 * 8)
  for block in range(2):
    path = f'GeneratorBlock_{block}', 'Dense_0', 'kernel'
    assert params[path].shape == (5 + 3 + 5, 8)
  with pytest.raises(InputError, match=r'latent_dim: 10 .*take 9 or 12'):
    init(10)


@pytest.mark.parametrize('shape', [(28, 28, 1), (256, 256, 3), (32, 64, 3)])
def test_image_sizes_that_do_not_fit(shape):
  with pytest.raises(InputError, match=r'data.image_size: biggan .*64 or 128'):
    make_pair('biggan', shape, num_classes=3)


@pytest.mark.slow  # another G
def test_adain_takes_the_vectors_too():
  gen, variables, latents, given = generator(gen_norm='adain')
  draw = jax.jit(
    lambda labels: gen.apply(
      variables, latents, {'labels': labels}, train=False
    )
  )
  labels = given['labels'].astype(np.int32)
  images = [draw(labels) for labels in (labels, 0 * labels)]
  same = (images[0] == images[1]).all((1, 2, 3))
  np.testing.assert_array_equal(same, [True, False, False, True])
