"""Neighbourhood scores against prdc, closed forms and brute force."""

import contextlib
import io

import numpy as np
import prdc
import pytest
import scipy.spatial.distance

from gan_jax.metrics.density_coverage import (
  density_coverage,
  expected_coverage,
)
from gan_jax.metrics.neighbours import (
  Reference,
  neighbourhoods,
  squared_radii,
)
from gan_jax.metrics.precision_recall import precision_recall
from gan_jax.types import InputError
from tests.helpers import sampled


def all_four(real, fake, k, **keys):
  found = neighbourhoods(real, fake, [k], **keys)[k]
  return [*precision_recall(found), *density_coverage(found)]


def by_prdc(real, fake, k):
  with contextlib.redirect_stdout(io.StringIO()):
    result = prdc.compute_prdc(real, fake, k)
  names = ('precision', 'recall', 'density', 'coverage')
  return [float(result[name]) for name in names]


@pytest.mark.parametrize('k', sampled([1, 3, 5], 3))
@pytest.mark.parametrize(
  ('num_real', 'num_fake', 'size', 'shift'),
  [(300, 200, 8, 0.0), (150, 310, 64, 0.3), (200, 200, 3, 100.0)],
)
def test_agrees_with_prdc(num_real, num_fake, size, shift, k):
  rng = np.random.default_rng(num_real)
  real = (shift + rng.normal(size=(num_real, size))).astype(np.float32)
  fake = (1.1 * shift + rng.normal(size=(num_fake, size))).astype(np.float32)
  np.testing.assert_allclose(
    all_four(real, fake, k), by_prdc(real, fake, k), rtol=1e-12
  )


def test_expected_coverage_of_ten_thousand():
  expected = expected_coverage(10_000, 10_000, 5)
  np.testing.assert_allclose(expected, 0.96877, atol=1.5e-5)


def test_expected_coverage_of_few():
  """Ten and eight points on a line, 4,000 times: known to .001."""
  rng = np.random.default_rng(0)
  real, fake = rng.random((4_000, 10)), rng.random((4_000, 8))
  among = np.sort(np.abs(real[:, :, None] - real[:, None]), axis=2)[:, :, 5]
  nearest = np.abs(real[:, :, None] - fake[:, None]).min(axis=2)
  np.testing.assert_allclose(
    expected_coverage(10, 8, 5), np.mean(nearest < among), atol=0.003
  )


@pytest.mark.parametrize('spread', [0.03, 0.003, 0.0])
def test_tight_clusters_far_from_the_mean_are_told_apart(spread):
  """In float32 |x|^2 + |y|^2 - 2 x.y would be rounding."""
  rng = np.random.default_rng(0)
  centres = 30 * rng.normal(size=(10, 16))
  real, fake = (
    (centres[rng.integers(0, 10, 100)] + spread * rng.normal(size=(100, 16)))
    for _ in range(2)
  )
  distances = scipy.spatial.distance.cdist
  own, other = distances(real, real), distances(real, fake)
  radii = np.sort(own, axis=1)[:, 3]
  fake_radii = np.sort(distances(fake, fake), axis=1)[:, 3]
  expected = [
    (other <= radii[:, None]).any(axis=0).mean(),
    (other <= fake_radii).any(axis=1).mean(),
    (other < radii[:, None]).sum(axis=0).mean() / 3,
    (other.min(axis=1) < radii).mean(),
  ]
  np.testing.assert_allclose(all_four(real, fake, 3), expected, rtol=1e-12)


@pytest.mark.slow
def test_published_figures_of_equal_gaussians():
  """Those of prdc's README, whose draw is unknown.

  In 1,000 dimensions a few points are neighbours of many, so that draws
  differ by 10 % and more; prdc itself, on our draw, is met.
  """
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(2, 10_000, 1_000)).astype(np.float32)
  found = all_four(real, fake, 5, tile=1_024)
  np.testing.assert_allclose(found, by_prdc(real, fake, 5), rtol=2e-4)
  np.testing.assert_allclose(found, [0.4772, 0.4705, 1.0555, 0.9735], rtol=0.15)


def test_direction():
  """A narrow generator is precise and forgets; a wide one the reverse."""
  rng = np.random.default_rng(0)
  wide, narrow = (
    3 * rng.normal(size=(200, 16)),
    0.1 * rng.normal(size=(200, 16)),
  )
  precision, recall, _, _ = all_four(wide, narrow, 5)
  assert precision > 0.8
  assert recall < 0.3
  precision, recall, _, _ = all_four(narrow, wide, 5)
  assert precision < 0.3
  assert recall > 0.8


def test_density_and_coverage_of_equal_distributions():
  rng = np.random.default_rng(0)
  found = [
    all_four(rng.normal(size=(300, 2)), rng.normal(size=(400, 2)), 5)[2:]
    for _ in range(20)
  ]
  density, coverage = np.mean(found, axis=0)
  np.testing.assert_allclose(density, 1.0, rtol=0.03)
  np.testing.assert_allclose(
    coverage, expected_coverage(300, 400, 5), rtol=0.01
  )


@pytest.mark.parametrize('tile', [7, 64, 1_000])
def test_tiles_change_nothing(tile):
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(90, 6)), rng.normal(size=(70, 6))
  whole = neighbourhoods(real, fake, [2, 4])
  tiled = neighbourhoods(real, fake, [2, 4], tile=tile)
  for k in (2, 4):
    for a, b in zip(whole[k], tiled[k], strict=True):
      np.testing.assert_array_equal(a, b)


def test_radii_are_those_of_brute_force():
  points = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
  distances = scipy.spatial.distance.cdist(points, points)
  np.fill_diagonal(distances, np.inf)
  expected = np.sort(distances, axis=1)[:, :3] ** 2
  np.testing.assert_allclose(
    squared_radii(points, 3, tile=16), expected, rtol=1e-5
  )


def test_a_copy_of_the_data_is_perfect():
  real = np.random.default_rng(0).normal(size=(100, 4))
  precision, recall, density, coverage = all_four(real, real.copy(), 3)
  assert precision == recall == coverage == 1.0
  np.testing.assert_allclose(density, 1.0, rtol=0.02)


def test_several_k_are_those_of_each():
  rng = np.random.default_rng(0)
  real, fake = rng.normal(size=(2, 80, 6))
  both = neighbourhoods(real, fake, [5, 3, 3])
  assert list(both) == [3, 5]
  for k in both:
    assert precision_recall(both[k]) == precision_recall(
      neighbourhoods(real, fake, [k])[k]
    )


def test_equal_distances_count_each():
  points = np.array([[0.0], [1.0], [-1.0], [1.0], [3.0]])
  np.testing.assert_array_equal(
    squared_radii(points, 3),
    [[1, 1, 1], [0, 1, 4], [1, 4, 4], [0, 1, 4], [4, 4, 9]],
  )


def test_a_reference_works_out_its_radii_once(monkeypatch):
  rng = np.random.default_rng(0)
  real, *fakes = rng.normal(size=(4, 60, 6))
  counted = []

  def counting(points, *args):
    counted.append(np.asarray(points))
    return squared_radii(points, *args)

  module = 'gan_jax.metrics.neighbours.squared_radii'
  reference = Reference(real)
  for k, fake in zip((3, 5, 2), fakes, strict=True):
    with monkeypatch.context() as patched:
      patched.setattr(module, counting)
      found = neighbourhoods(reference, fake, [k])[k]
    for a, b in zip(found, neighbourhoods(real, fake, [k])[k], strict=True):
      np.testing.assert_array_equal(a, b)
  centred = np.asarray(reference.centred(real, np.float32))
  of_real = [p for p in counted if np.array_equal(p, centred)]
  assert len(of_real) == 2  # for k = 3, and again for 5, but not for 2
  assert len(counted) == 5


def test_bad_input_is_named():
  points = np.zeros((5, 2))
  with pytest.raises(InputError, match='need 6 images, and there are 5 gener'):
    neighbourhoods(np.zeros((9, 2)), points, [5])
  with pytest.raises(InputError, match='need 6 images, and there are 5 real'):
    neighbourhoods(points, np.zeros((9, 2)), [5])
  with pytest.raises(InputError, match='k: 0 neighbours'):
    neighbourhoods(points, points, [0, 2])
