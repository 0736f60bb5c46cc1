"""Priors, interpolation and the sampler, on generators with known images."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_jax.games import of_network
from gan_jax.pixels import to_uint8
from gan_jax.rng import example_keys
from gan_jax.sampling.batches import batched
from gan_jax.sampling.priors import PRIORS, draw_latents, truncated_normal
from gan_jax.sampling.sampler import Sampler
from gan_jax.sampling.walks import INTERPOLATIONS, lerp, slerp
from gan_jax.types import InputError

LATENT_DIM = 4
CLASSES = 3
MANY = 2_000  # latents; 8,000 numbers


class Mirror(nn.Module):
  """Shows the latents, scaled, as 2x2 pixels, and the label beside them."""

  on_trace: Callable[[], None] = lambda: None

  @nn.compact
  def __call__(self, latents, given=None, *, train):
    assert not train
    self.on_trace()
    scale = self.param('scale', nn.initializers.constant(0.5), ())
    shown = (scale * latents).reshape(-1, 2, 2)
    label = given['labels'][:, None, None] if given else 0
    return jnp.stack([shown, jnp.zeros_like(shown) + label / 4], axis=-1)


def make_sampler(mirror=Mirror(), **kwargs):  # noqa: B008
  variables = {'params': {'scale': jnp.float32(0.5)}}
  return Sampler(of_network(mirror), variables, latent_dim=LATENT_DIM, **kwargs)


def shown(latents, labels=0, scale=0.5):
  """What `Mirror` shows of latents, uint8 `[N, 2, 2, 2]`."""
  pixels = np.clip(np.float32(scale) * latents, -1, 1).reshape(-1, 2, 2)
  label = np.broadcast_to(np.reshape(labels, (-1, 1, 1)) / 4, pixels.shape)
  images = np.stack([pixels, np.float32(label)], axis=-1)
  return np.round((images + np.float32(1)) * np.float32(127.5)).astype(np.uint8)


def keys(num, seed=0):
  return example_keys(jax.random.key(seed), jnp.arange(num))


def test_the_first_of_each_seed():
  sampler = make_sampler()
  seeds = [0, 7, 2**31, 2**32 - 1]
  for truncation in (0.0, 0.5):
    latents = sampler.latents_of(seeds, truncation=truncation)
    firsts = [
      sampler.latents(1, seed=seed, truncation=truncation)[0] for seed in seeds
    ]
    np.testing.assert_array_equal(latents, firsts)
  with pytest.raises(InputError, match='truncation'):
    make_sampler(prior='uniform').latents_of(seeds, truncation=0.5)


def test_a_sampler_says_what_it_is():
  about = 'images=(2, 2, 2), latent_dim=4, prior=normal'
  assert repr(make_sampler()) == f'Sampler({about}, classes=0)'
  sampler = make_sampler(
    num_classes=CLASSES,
    class_names=('cat', 'dog', 'cow'),
    weights='ema',
    step=12,
  )
  classes = 'classes=3: cat, dog, cow'
  assert repr(sampler) == (
    f'Sampler({about}, {classes}, weights=moving average, step=12)'
  )
  other = sampler.with_variables({'params': {'scale': jnp.float32(1)}})
  assert repr(other) == f'Sampler({about}, {classes})'


def test_a_class_by_its_name():
  sampler = make_sampler(num_classes=CLASSES, class_names=('a', 'b', 'Cow'))
  np.testing.assert_array_equal(
    sampler.sample(2, label='cow'), sampler.sample(2, label=2)
  )
  with pytest.raises(InputError, match="'x' is not valid; valid: 0 to 2, or a"):
    sampler.sample(2, label='x')


def test_the_generator_itself_is_differentiable_and_compiles():
  sampler = make_sampler(num_classes=CLASSES)
  latents = jnp.asarray(sampler.latents(4))
  images = sampler.generator(latents)
  assert (images.dtype, images.shape) == (jnp.float32, (4, 2, 2, 2))
  np.testing.assert_array_equal(to_uint8(images), sampler.sample(4))
  labels = jnp.array([2, 2, 1, 0])
  np.testing.assert_array_equal(
    to_uint8(jax.jit(sampler.generator)(latents, labels)),
    sampler.generate(np.asarray(latents), np.asarray(labels)),
  )
  slopes = jax.grad(lambda z: sampler.generator(z, labels).sum())(latents)
  np.testing.assert_array_equal(slopes, np.full((4, LATENT_DIM), 0.5))


def test_a_walk_between_truncated_latents():
  sampler = make_sampler()
  seen = sampler.interpolate(2, 1, truncation=0.25)
  np.testing.assert_array_equal(seen, sampler.sample(2, truncation=0.25))


def test_example_keys_depend_on_position_alone():
  positions = jnp.array([5, 0, 3])
  picked = example_keys(jax.random.key(1), positions)
  np.testing.assert_array_equal(
    jax.random.key_data(picked), jax.random.key_data(keys(6, seed=1)[positions])
  )
  data = np.concatenate(
    [jax.random.key_data(keys(100, seed)) for seed in range(2)]
  )
  assert len(np.unique(data, axis=0)) == 200


DISTRIBUTIONS = {
  'normal': stats.norm(),
  'uniform': stats.uniform(-1, 2),
}


def assert_distributed(draws, distribution):
  """Kolmogorov-Smirnov, at a level that a right prior misses once in 10^4."""
  draws = np.asarray(draws, np.float64)
  assert stats.kstest(draws.ravel(), distribution.cdf).pvalue > 1e-4
  # Components are drawn independently, and so are examples.
  limit = 4 / np.sqrt(len(draws))
  assert np.abs(np.corrcoef(draws.T) - np.eye(LATENT_DIM)).max() < limit
  following = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
  assert abs(following) < limit


@pytest.mark.parametrize('prior', sorted(PRIORS))
def test_priors(prior):
  draws = draw_latents(keys(MANY), prior=prior, latent_dim=LATENT_DIM)
  assert draws.shape == (MANY, LATENT_DIM)
  assert draws.dtype == jnp.float32
  assert_distributed(draws, DISTRIBUTIONS[prior])
  low, high = DISTRIBUTIONS[prior].support()
  assert low <= draws.min()
  assert draws.max() <= high


@pytest.mark.parametrize('truncation', [0.5, 2.0])
def test_truncated_normal(truncation):
  draws = truncated_normal(
    keys(MANY), latent_dim=LATENT_DIM, truncation=truncation
  )
  assert_distributed(draws, stats.truncnorm(-truncation, truncation))
  assert 0.98 * truncation < np.abs(draws).max() <= truncation


@pytest.mark.parametrize('truncation', [0.0, 0.7])
def test_latents_depend_on_seed_and_place_alone(truncation):
  sampler = make_sampler()
  few, many, other = (
    sampler.latents(num, seed=seed, truncation=truncation)
    for num, seed in ((3, 5), (100, 5), (3, 6))
  )
  np.testing.assert_array_equal(few, many[:3])
  assert not np.isin(few, other).any()
  assert len(np.unique(many)) == many.size
  if truncation:
    assert np.abs(many).max() <= truncation
  else:
    assert np.abs(many).max() > 2


def test_latents_come_from_the_prior():
  """The sampler draws what the training prior draws from the same keys."""
  for prior in PRIORS:
    np.testing.assert_array_equal(
      make_sampler(prior=prior).latents(5, seed=2),
      draw_latents(keys(5, seed=2), prior=prior, latent_dim=LATENT_DIM),
    )


T = jnp.array([0.0, 0.25, 0.5, 1.0])
START = jnp.array([3.0, 0.0, 4.0])
ORTHOGONAL = jnp.array([0.0, -5.0, 0.0])


def test_lerp():
  np.testing.assert_allclose(
    lerp(START, ORTHOGONAL, T),
    [[3, 0, 4], [2.25, -1.25, 3], [1.5, -2.5, 2], [0, -5, 0]],
    rtol=1e-6,
  )


def test_slerp_of_orthogonal_vectors():
  """A quarter circle: cos and sin of the angle, and the norm is kept."""
  points = np.asarray(slerp(START, ORTHOGONAL, T), np.float64)
  angle = np.pi / 2 * np.asarray(T, np.float64)[:, None]
  expected = np.cos(angle) * START + np.sin(angle) * ORTHOGONAL
  # sin(pi / 2) and cos(0) are exact; cos(pi / 2) is 4e-8 in float32.
  np.testing.assert_allclose(points, expected, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(np.linalg.norm(points, axis=1), 5.0, rtol=1e-6)


@pytest.mark.parametrize('angle', [0.3, 2.0, 3.0])
def test_slerp_turns_at_a_constant_rate(angle):
  start = np.array([2.0, 0.0])
  end = 2 * np.array([np.cos(angle), np.sin(angle)])
  points = np.asarray(slerp(jnp.array(start), jnp.array(end), T))
  # The arc cosine of a float32 near -1 is off by 6e-8 / sin(3.0) or so.
  np.testing.assert_allclose(
    np.arctan2(points[:, 1], points[:, 0]), angle * T, rtol=1e-5, atol=1e-7
  )


def test_slerp_of_unequal_norms_meets_both_ends():
  start, end = jnp.array([1.0, 2.0, -1.0]), jnp.array([-0.5, 0.25, 4.0])
  points = slerp(start, end, T)
  np.testing.assert_allclose(points[0], start, rtol=1e-6)
  np.testing.assert_allclose(points[-1], end, rtol=1e-6)


@pytest.mark.parametrize('factor', [1.0, 3.0, -1.0, -0.5])
def test_slerp_of_parallel_vectors_is_lerp(factor):
  """Between opposite vectors no great circle is singled out: a line too."""
  start = jnp.array([1.0, 0.0, 2.0])
  points = slerp(start, factor * start, T)
  np.testing.assert_allclose(points, lerp(start, factor * start, T), rtol=1e-6)


def test_to_uint8():
  levels = np.arange(256)
  exact = jnp.float32(levels / 127.5 - 1)
  np.testing.assert_array_equal(to_uint8(exact), levels)
  near = exact + jnp.float32(0.45 / 127.5)
  np.testing.assert_array_equal(to_uint8(near[:-1]), levels[:-1])
  np.testing.assert_array_equal(
    to_uint8(near[:-1] + jnp.float32(0.1 / 127.5)), levels[1:]
  )
  outside = to_uint8(jnp.array([-7.0, -1.0, 1.0, 7.0]))
  assert outside.tolist() == [0, 0, 255, 255]
  assert outside.dtype == jnp.uint8


@pytest.mark.parametrize('num', [1, 63, 64, 65, 150])
@pytest.mark.parametrize('with_none', [False, True])
def test_batched(num, with_none):
  calls = []

  def function(x, nothing, y):
    assert nothing is None
    calls.append(len(x))
    return 100 * x + (0 if y is None else y[:, None])

  x = np.arange(2 * num).reshape(num, 2)
  y = None if with_none else -np.arange(num)
  result = batched(function, x, None, y)
  expected = 100 * x + (0 if with_none else y[:, None])
  np.testing.assert_array_equal(result, expected)
  assert set(calls) == {64}
  assert len(calls) == -(-num // 64)


def test_sample():
  sampler = make_sampler()
  for num in (2, 70):
    images = sampler.sample(num, seed=3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, shown(sampler.latents(num, seed=3)))
  np.testing.assert_array_equal(
    sampler.sample(70, truncation=0.5),
    shown(sampler.latents(70, truncation=0.5)),
  )
  assert (sampler.sample(5, seed=3) != sampler.sample(5, seed=4)).any()


def test_conditional_sample():
  sampler = make_sampler(num_classes=CLASSES)
  latents = sampler.latents(7)
  in_turn = sampler.labels(7)
  assert in_turn.tolist() == [0, 1, 2, 0, 1, 2, 0]
  assert in_turn.dtype == np.int32
  np.testing.assert_array_equal(sampler.sample(7), shown(latents, in_turn))
  for label in range(CLASSES):
    assert sampler.labels(2, label).tolist() == [label, label]
    np.testing.assert_array_equal(
      sampler.sample(7, label=label), shown(latents, label)
    )


def test_a_stream_keeps_latents_and_labels_together():
  sampler = make_sampler(num_classes=CLASSES)
  picked = np.array([5, 0, 4])
  np.testing.assert_array_equal(
    sampler.stream(7, seed=2)(picked), sampler.sample(7, seed=2)[picked]
  )


def test_unconditional_labels():
  assert make_sampler().labels(4) is None


@pytest.mark.parametrize(
  ('num_classes', 'label', 'valid'),
  [
    (CLASSES, CLASSES, 'valid: 0 to 2'),
    (CLASSES, -1, 'valid: 0 to 2'),
    (0, 0, 'leave'),
  ],
)
def test_bad_label(num_classes, label, valid):
  sampler = make_sampler(num_classes=num_classes)
  with pytest.raises(InputError, match=f'label: {label}.*{valid}'):
    sampler.sample(1, label=label)


@pytest.mark.parametrize(
  ('prior', 'truncation'), [('uniform', 0.5), ('normal', -0.5)]
)
def test_bad_truncation(prior, truncation):
  with pytest.raises(InputError, match=f'truncation: {truncation} .*{prior}'):
    make_sampler(prior=prior).sample(1, truncation=truncation)


@pytest.mark.parametrize('path', sorted(INTERPOLATIONS))
def test_interpolate(path):
  """Every latent's own image, once, and a closed walk between them."""
  points, steps = 3, 4
  sampler = make_sampler(num_classes=CLASSES)
  walk = sampler.interpolate(points, steps, path=path, seed=1, label=2)
  assert walk.shape == (points * steps, 2, 2, 2)
  assert walk.dtype == np.uint8
  ends = sampler.latents(points, seed=1)
  np.testing.assert_array_equal(walk[::steps], shown(ends, 2))
  between = [
    INTERPOLATIONS[path](ends[i], ends[(i + 1) % points], jnp.array([0.75]))
    for i in range(points)
  ]
  np.testing.assert_array_equal(walk[3::steps], shown(np.stack(between), 2))


def test_interpolate_stays_in_one_class():
  plain = make_sampler().interpolate(2, 3)
  conditional = make_sampler(num_classes=CLASSES).interpolate(2, 3)
  np.testing.assert_array_equal(plain, conditional)  # both show label 0
  in_class = make_sampler(num_classes=CLASSES).interpolate(2, 3, label=1)
  assert (in_class[..., 1] == shown(np.zeros((1, 4)), 1)[0, 0, 0, 1]).all()


def test_with_variables():
  traces = []
  sampler = make_sampler(Mirror(on_trace=lambda: traces.append('once')))
  before = sampler.sample(3)
  other = sampler.with_variables({'params': {'scale': jnp.float32(0.125)}})
  np.testing.assert_array_equal(
    other.sample(3), shown(sampler.latents(3), scale=0.125)
  )
  np.testing.assert_array_equal(sampler.sample(3), before)
  assert traces == ['once']
