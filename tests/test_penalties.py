"""Gradient penalties against closed forms and float64 references."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.penalties import PENALTIES
from gan_jax.solvers.optimizers import weight_clipping

SHAPE = (2, 3, 2)  # H, W, C
# Where a penalty looks (see `where`), what it makes of the norms of the
# gradients there, and the constant that its paper puts before it.
REFERENCES = {
  'r1': ('real', lambda norms: norms**2, 0.5),
  'r2': ('fake', lambda norms: norms**2, 0.5),
  'wgan_gp': ('between', lambda norms: (norms - 1) ** 2, 1.0),
  'dragan': ('around', lambda norms: (norms - 1) ** 2, 1.0),
}
GRADIENT_PENALTIES = sorted(REFERENCES)


def images(seed, num=4):
  """Real and fake images, of different means and spreads."""
  rng = np.random.default_rng(seed)
  real = rng.uniform(-1.0, 1.0, (num, *SHAPE))
  fake = 0.4 * rng.normal(size=(num, *SHAPE)) - 0.3
  return np.float32(real), np.float32(fake)


def example_keys(num=4):
  return jax.random.split(jax.random.key(7), num)


def penalty_of(name, critic, seed=0):
  """The penalty, compiled, of a critic on random images."""

  @jax.jit
  def penalty(*data):
    return PENALTIES[name].value(critic, *data)

  return penalty(*images(seed), example_keys())


@pytest.mark.parametrize('name', GRADIENT_PENALTIES)
def test_a_map_of_logits_counts_by_its_mean(name):
  """A patch D that says a different multiple in each of four places."""
  weights = np.array([1.0, 3.0, -2.0, 4.0])

  def single(x):
    return 1.5 * jnp.sum(x**2, axis=(1, 2, 3))

  def patches(x):
    return single(x)[:, None, None] * weights.reshape(2, 2)

  def mean(x):
    return weights.mean() * single(x)

  np.testing.assert_allclose(
    penalty_of(name, patches), penalty_of(name, mean), rtol=1e-5
  )


def where(name, real, fake, keys):
  """The images at which a penalty looks, `[B, H * W * C]` in float64."""

  def uniform(*shape):
    draws = [np.asarray(jax.random.uniform(key, shape)) for key in keys]
    return np.stack(draws).astype(np.float64)

  real, fake = real.astype(np.float64), fake.astype(np.float64)
  epsilon = uniform(1, 1, 1)
  points = {
    'real': real,
    'fake': fake,
    'between': epsilon * real + (1 - epsilon) * fake,
    'around': real + 0.5 * real.std() * uniform(*SHAPE),
  }[REFERENCES[name][0]]
  return points.reshape(len(points), -1)


def reference(name, gradients):
  """The penalty of the critic's gradients `[B, D]`, in float64."""
  return np.mean(REFERENCES[name][1](np.linalg.norm(gradients, axis=1)))


def test_every_penalty_is_tested():
  """`r1_r2` is the sum of two of them."""
  assert PENALTIES['none'] is None
  assert set(PENALTIES) == {*REFERENCES, 'none', 'r1_r2'}


@pytest.mark.parametrize('norm', [0.25, 0.9, 3.0])
@pytest.mark.parametrize('name', GRADIENT_PENALTIES)
def test_linear_critic(name, norm):
  """D(x) = w.x has the gradient w everywhere; the papers' constants."""
  w = np.random.default_rng(1).normal(size=np.prod(SHAPE))
  w *= norm / np.linalg.norm(w)
  _, of_norms, constant = REFERENCES[name]
  expected = constant * of_norms(norm)
  for seed in (0, 1):
    value = penalty_of(name, lambda x: x.reshape(len(x), -1) @ w, seed)
    assert value.shape == ()
    np.testing.assert_allclose(
      PENALTIES[name].factor * value, expected, rtol=1e-5
    )


class AgainstNumPy(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_quadratic_critic(self):
    """D(x) = sum a x^2 / 2 has the gradient a x: the points matter."""
    a = np.random.default_rng(2).uniform(0.5, 1.5, SHAPE)
    real, fake = images(0)
    values = {}
    for name in GRADIENT_PENALTIES:
      penalty = PENALTIES[name].value

      def of_quadratic(*data, penalty=penalty):
        return penalty(lambda x: jnp.sum(a * x**2, axis=(1, 2, 3)) / 2, *data)

      values[name] = self.variant(of_quadratic)(real, fake, example_keys())
      points = where(name, real, fake, example_keys())
      np.testing.assert_allclose(
        values[name], reference(name, a.ravel() * points), rtol=1e-5
      )
    assert len({round(float(v), 3) for v in values.values()}) == len(values)


@pytest.mark.parametrize('name', ['r1', 'r2', 'wgan_gp'])
def test_mean_of_the_examples_own_penalties(name):
  data = (*images(0), example_keys())

  @jax.jit
  def penalty(*data):
    return PENALTIES[name].value(
      lambda x: jnp.sum(jnp.sin(2 * x), axis=(1, 2, 3)), *data
    )

  alone = [penalty(*(x[i : i + 1] for x in data)) for i in range(4)]
  np.testing.assert_allclose(penalty(*data), np.mean(alone), rtol=1e-5)


def test_r1_r2_is_the_sum_of_both():
  def critic(x):
    return jnp.sum(jnp.sin(2 * x), axis=(1, 2, 3))

  both = penalty_of('r1_r2', critic)
  each = [float(penalty_of(name, critic)) for name in ('r1', 'r2')]
  assert abs(each[0] - each[1]) > 1e-2
  np.testing.assert_allclose(both, sum(each), rtol=1e-6)
  assert PENALTIES['r1_r2'].factor == 0.5


def two_layers(params, x):
  return jnp.tanh(x.reshape(len(x), -1) @ params['w']) @ params['v']


def two_layer_params():
  rng = np.random.default_rng(3)
  return {
    'w': np.float32(rng.normal(size=(np.prod(SHAPE), 3)) / 3),
    'v': np.float32(rng.normal(size=3)),
  }


@pytest.mark.parametrize('name', GRADIENT_PENALTIES)
def test_gradient_with_respect_to_the_parameters(name):
  """Second-order autodiff against finite differences of a float64 formula."""
  real, fake = images(0)
  points = where(name, real, fake, example_keys())
  params = two_layer_params()

  def value(w, v):
    slope = v / np.cosh(points @ w) ** 2  # D = v.tanh(w.x)
    return reference(name, slope @ w.T)

  def difference(key, index, step=1e-5):
    moved = [jax.tree.map(np.float64, params) for _ in range(2)]
    moved[0][key][index] += step
    moved[1][key][index] -= step
    return (value(**moved[0]) - value(**moved[1])) / (2 * step)

  @jax.jit
  @jax.grad
  def gradients(params):
    critic = functools.partial(two_layers, params)
    return PENALTIES[name].value(critic, real, fake, example_keys())

  for key, gradient in gradients(params).items():
    expected = np.zeros(gradient.shape)
    for index in np.ndindex(expected.shape):
      expected[index] = difference(key, index)
    # Single entries cancel over the batch, so relative to the whole.
    error = np.linalg.norm(gradient - expected)
    assert error < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize('name', GRADIENT_PENALTIES)
def test_finite_where_the_critic_is_flat(name):
  """Rectifiers that are off give an exactly zero gradient, and no NaN."""
  real, fake = images(0)

  def penalty(params):
    return PENALTIES[name].value(
      lambda x: (
        jax.nn.relu(x.reshape(len(x), -1) @ params['w'] - 100.0) @ params['v']
      ),
      real,
      fake,
      example_keys(),
    )

  params = jax.tree.map(jnp.float32, two_layer_params())
  value, gradients = jax.value_and_grad(penalty)(params)
  assert value == REFERENCES[name][1](0)
  for gradient in jax.tree.leaves(gradients):
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize('name', GRADIENT_PENALTIES)
def test_one_flat_example_does_not_spoil_the_others(name):
  """The gradient of the batch is that of its live half, halved."""
  live = np.full((1, *SHAPE), 0.5, np.float32)
  batch = np.concatenate([live, -live])
  keys = example_keys(2)

  @jax.jit
  def gradient(images, keys):
    def penalty(w):
      # Flat for the dark image; the noise of dragan is too small to light it.
      def critic(x):
        return jnp.sum(jax.nn.relu(w * x) ** 2, axis=(1, 2, 3))

      return PENALTIES[name].value(critic, images, images, keys)

    return jax.grad(penalty)(jnp.float32(1.0))

  whole = gradient(batch, keys)
  assert np.isfinite(whole)
  if name != 'dragan':  # its noise depends on the whole batch
    np.testing.assert_allclose(whole, gradient(live, keys[:1]) / 2, rtol=1e-5)


def test_dragan_takes_its_deviation_over_all_devices():
  """Shards of different means and spreads: their own std would be wrong."""
  num_devices, share = 4, 3
  rng = np.random.default_rng(4)
  scale = np.array([0.05, 0.2, 0.6, 1.0])[:, None, None, None, None]
  centre = np.array([-0.9, 0.5, 0.3, 0.0])[:, None, None, None, None]
  real = np.float32(
    centre + scale * rng.uniform(-1, 1, (num_devices, share, *SHAPE))
  )
  keys = example_keys(num_devices * share)

  def penalty(real, keys, axis_name=None):
    return PENALTIES['dragan'].value(
      lambda x: jnp.sum(x**3, axis=(1, 2, 3)), real, real, keys, axis_name
    )

  of_shares = jax.vmap(
    functools.partial(penalty, axis_name='batch'), axis_name='batch'
  )
  shares = jax.jit(of_shares)(real, keys.reshape(num_devices, share))
  whole = jax.jit(penalty)(real.reshape(-1, *SHAPE), keys)
  np.testing.assert_allclose(shares.mean(), whole, rtol=1e-5)


def steps(optimizer, params, grads, num):
  """Parameters after each of `num` updates with the same gradients."""
  state = optimizer.init(params)
  history = []
  for _ in range(num):
    updates, state = optimizer.update(grads, state, params)
    params = optax.apply_updates(params, updates)
    history.append(params)
  return history


@pytest.mark.parametrize('base', ['sgd', 'adam'])
def test_weight_clipping_keeps_parameters_in_the_box(base):
  """The clipped path is the free one, cut at each of its ends."""
  limit, rate = 0.05, 0.02
  optimizer = {'sgd': optax.sgd, 'adam': optax.adam}[base](rate)
  params = {'w': jnp.array([0.0, 0.01, -0.04, 0.04]), 'b': jnp.array([0.3])}
  grads = {'w': jnp.array([-1.0, 1.0, 1.0, -0.5]), 'b': jnp.array([0.5])}
  free = steps(optimizer, params, grads, 4)
  clipped = steps(
    optax.chain(optimizer, weight_clipping(limit)), params, grads, 4
  )
  for key in params:
    expected = params[key]
    for i, step in enumerate(clipped):
      before = params if i == 0 else free[i - 1]
      move = free[i][key] - before[key]
      expected = np.clip(expected + move, -limit, limit)
      # One float32 rounding of a parameter of at most .3 each time.
      np.testing.assert_allclose(step[key], expected, rtol=1e-5, atol=1e-7)
      assert np.abs(step[key]).max() <= limit + 3e-8
  assert clipped[0]['w'][0] == free[0]['w'][0]  # still inside: left alone
  np.testing.assert_allclose(
    clipped[-1]['w'], limit * np.array([1, -1, -1, 1]), rtol=1e-6
  )


def test_weight_clipping_without_movement():
  """Parameters that start outside are put into the box by any update."""
  params = jnp.array([-3.0, -0.5, 0.0, 0.25, 2.0])
  [after] = steps(weight_clipping(0.5), params, jnp.zeros(5), 1)
  np.testing.assert_array_equal(after, [-0.5, -0.5, 0.0, 0.25, 0.5])
