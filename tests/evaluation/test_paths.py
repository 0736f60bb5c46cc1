"""The perceptual path length: of maps whose lengths are known, and filtered."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.evaluation import paths, remarks
from gan_jax.features import from_callable
from gan_jax.metrics.perceptual_path_length import perceptual_path_length

Z, PIXELS = 6, 12


def linear_map(seed=0):
  return np.random.default_rng(seed).normal(size=(Z, PIXELS)) / 20


def features(images):
  """A linear map of pixels and a constant: no image has length zero."""
  flat = images.reshape(len(images), -1) / 127.5 - 1.0
  return jnp.concatenate([flat, jnp.ones((len(flat), 1))], axis=1)


NETWORK = from_callable(features, 'linear')


class Linear:
  """G of pixels linear in z, or in styles that are twice z."""

  num_seeds, codes, has_styles = 0, (), False

  def __init__(self):
    self.matrix = linear_map()

  def latents(self, num, seed):
    return np.random.default_rng(seed).normal(size=(num, Z)).astype(np.float32)

  def generator(self, latents, labels=None):
    shift = 0.0 if labels is None else 0.01 * labels[:, None]
    flat = latents @ self.matrix.astype(np.float32) + shift
    return flat.reshape(-1, 3, 4, 1)


class Styled(Linear):
  has_styles = True

  def styles(self, latents, labels=None):
    return np.repeat(2 * latents[:, None], 3, axis=1)

  def painter(self, styles, latents):
    return self.generator(styles.mean(axis=1) / 2)


def expected(sampler, num, space, places):
  """In float64: the derivative along the way, by its closed form."""
  latents = np.float64(sampler.latents(2 * num, 0))
  found = []
  for a, b, t in zip(latents[:num], latents[num:], places, strict=True):
    if space == 'w':
      point, velocity = (1 - t) * a + t * b, b - a
    else:
      lengths = np.linalg.norm(a), np.linalg.norm(b)
      omega = np.arccos(a @ b / np.prod(lengths))
      rise, fall = (1 - t) * omega, t * omega
      point = (np.sin(rise) * a + np.sin(fall) * b) / np.sin(omega)
      velocity = omega * (np.cos(fall) * b - np.cos(rise) * a) / np.sin(omega)
    flat = np.append(point @ sampler.matrix, 1.0)
    slope = np.append(velocity @ sampler.matrix, 0.0)
    length = np.linalg.norm(flat)
    unit = flat / length
    moved = (slope - unit * (unit @ slope)) / length
    found.append(moved @ moved)
  return np.array(found)


@pytest.mark.parametrize('sampling', paths.SAMPLINGS)
@pytest.mark.parametrize('kind', [Linear, Styled])
def test_distances_are_squared_derivatives_of_unit_features(kind, sampling):
  """Within rounding of a step of 1e-4 in float32."""
  sampler, num = kind(), 70
  found = paths.squared_distances(NETWORK, sampler, num, sampling=sampling)
  places = np.zeros(num)
  if sampling == 'full':
    places = np.random.default_rng(0).uniform(size=num)
  assert set(found) == ({'z', 'w'} if sampler.has_styles else {'z'})
  for space, distances in found.items():
    assert distances.shape == (num,)
    right = expected(sampler, num, space, places)
    np.testing.assert_allclose(distances, right, rtol=0.02)


def test_seeds_codes_and_labels_stay():
  """G of seeds, codes and labels alone does not move."""

  class Still(Linear):
    num_seeds, codes = 1, (2,)

    def generator(self, latents, labels=None):
      own = latents[:, [0, 4, 5]].sum(axis=1) + labels
      return jnp.broadcast_to(own[:, None, None, None], (len(own), 3, 4, 1))

  labels = np.arange(8) % 3
  found = paths.squared_distances(NETWORK, Still(), 8, labels=labels)
  np.testing.assert_array_equal(found['z'], 0.0)


def test_the_seed_is_of_the_ends():
  first, again, other = (
    paths.squared_distances(NETWORK, Linear(), 5, seed=seed)['z']
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).all()


def test_hundredths_at_both_ends_are_left_out():
  distances = np.arange(1000.0)
  distances[-1] = 1e9
  result = perceptual_path_length(
    np.random.default_rng(0).permutation(distances)
  )
  assert result.kept == 982  # 9 to 990, both kept
  assert result.value == pytest.approx(499.5)
  spread = np.arange(9.0, 991).std(ddof=1) / np.sqrt(982)
  assert result.standard_error == pytest.approx(spread)


def test_images_are_compared_as_floats():
  """Steps so small are of no whole grey level."""
  sampler = types.SimpleNamespace(
    num_seeds=0,
    codes=(),
    has_styles=False,
    latents=Linear().latents,
    generator=lambda latents, labels=None: (
      jnp.round(Linear().generator(latents) * 127.5) / 127.5
    ),
  )
  rounded = paths.squared_distances(NETWORK, sampler, 20)['z']
  assert np.median(rounded) == 0
  assert np.median(paths.squared_distances(NETWORK, Linear(), 20)['z']) > 1e-4
  assert jax.dtypes.issubdtype(rounded.dtype, np.floating)


def test_a_network_with_distances_of_its_own_gives_them():
  """Half of pixels in [0, 255]: closed form of a linear G, lengths as are."""

  def embed(variables, images):
    return images.reshape(len(images), -1) * variables

  network = NETWORK._replace(embed=embed, variables=np.float32(0.5 / 127.5))
  sampler = Styled()
  found = paths.squared_distances(network, sampler, 5)['w']
  latents = np.float64(sampler.latents(10, 0))
  slopes = (latents[5:] - latents[:5]) @ sampler.matrix
  np.testing.assert_allclose(found, (0.25 * slopes**2).sum(axis=1), rtol=0.02)


@pytest.mark.parametrize(
  ('sampler', 'keys', 'says'),
  [
    (dict(columns=['source']), {}, 'G is told source of each image'),
    (dict(exact=False), {}, 'G computes in bfloat16'),
    ({}, dict(psi=0.7), 'it is of all that G draws'),
    ({}, dict(truncation=0.5), 'it is of all that G draws'),
    ({}, {}, None),
  ],
)
def test_where_there_are_no_paths_the_reason_is_said(sampler, keys, says):
  sampler = types.SimpleNamespace(**dict(columns=[], exact=True) | sampler)
  keys = types.SimpleNamespace(**dict(psi=1.0, truncation=0.0) | keys)
  reason = remarks.lacking(sampler, None, True, keys).get('paths')
  assert reason is None if says is None else reason.startswith(says)
  if says:
    rest, lines = remarks.without('paths', ('fid', 'ppl'), reason)
    assert (rest, len(lines)) == (('fid',), 1)
    assert lines[0].startswith(f'eval.scores: ppl is left out: {says}')
