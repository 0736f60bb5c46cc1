"""The same scores as torch-fidelity 0.4.0, of the same images.

Weights are random, so that no download is needed: what is compared is the
whole path, from uint8 images to the digits of each score.
"""

import contextlib
import hashlib
import io

import numpy as np
import pytest

from gan_jax import features
from gan_jax.evaluation.summary import summarise
from gan_jax.features.published import inception_network
from gan_jax.metrics.frechet import frechet_distance
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.kernel_distance import kernel_distance
from gan_jax.metrics.neighbours import neighbourhoods
from gan_jax.metrics.precision_recall import precision_recall
from tests import peers

pytestmark = [
  pytest.mark.slow,
  pytest.mark.filterwarnings('ignore'),  # of PyTorch and its friends
]
KID = dict(subsets=10, subset_size=64)


def peer_scores(fake, real, logits):
  """torch-fidelity's own functions on its own features."""
  torch = pytest.importorskip('torch')
  peers.import_torch_fidelity()
  from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

  first, second = torch.from_numpy(fake), torch.from_numpy(real)
  results = metric_fid.fid_statistics_to_metric(
    *(metric_fid.fid_features_to_statistics(f) for f in (first, second)), False
  )
  results |= metric_isc.isc_features_to_metric(torch.from_numpy(logits))
  results |= metric_kid.kid_features_to_metric(
    first,
    second,
    kid_subsets=KID['subsets'],
    kid_subset_size=KID['subset_size'],
    verbose=False,
  )
  results |= metric_prc.prc_features_to_metric(
    first, second, prc_neighborhood=3, verbose=False
  )
  return results


def our_scores(fake, real, moments, predictions):
  kid = kernel_distance(
    real,
    fake,
    num_subsets=KID['subsets'],
    subset_size=KID['subset_size'],
  )
  found = precision_recall(neighbourhoods(real, fake, [3])[3])
  score = inception_score(predictions)
  return {
    'frechet_inception_distance': frechet_distance(*moments),
    'inception_score_mean': score.value,
    'inception_score_std': score.standard_deviation,
    'kernel_inception_distance_mean': kid.value,
    'kernel_inception_distance_std': kid.standard_deviation,
    'precision': found.precision,
    'recall': found.recall,
  }


def assert_parity(ours, theirs):
  for name, value in ours.items():
    keys = dict(rtol=1e-5)
    if name.startswith('kernel'):
      keys = dict(rtol=0, atol=1e-6)
    np.testing.assert_allclose(value, theirs[name], err_msg=name, **keys)


def random_images(num, seed):
  """Blobs, not noise: pictures of equal statistics have equal features."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 256, (num, 4, 4, 3)).astype(np.uint8)
  fine = coarse.repeat(8, axis=1).repeat(8, axis=2)
  return fine ^ rng.integers(0, 1 + 16 * seed, fine.shape).astype(np.uint8)


def at_scale(state):
  """Features with a mean of .4 instead of 2, as the published weights give.

  KID's tolerance is absolute, and torch-fidelity's kernels, cubes of these
  products, are float32.
  """
  last = ('branch1x1', 'branch3x3_2', 'branch3x3dbl_3', 'branch_pool')
  return {
    name: array * np.float32(0.2)
    if name.startswith(tuple(f'Mixed_7c.{branch}' for branch in last))
    and name.endswith(('bn.weight', 'bn.bias'))
    else array
    for name, array in state.items()
  }


def test_of_the_same_images_from_file_to_score(tmp_path):
  torch = pytest.importorskip('torch')
  from gan_jax.features import inception

  path = tmp_path / 'random.pth'
  state = at_scale(inception.random_state(0))
  torch.save({k: torch.from_numpy(v) for k, v in state.items()}, path)
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  network = inception_network(str(path), sha256=digest, cache=tmp_path)
  extractor = peers.inception_extractor(path)
  sets = {'fake': random_images(96, 1), 'real': random_images(80, 2)}
  ours, theirs = {}, {}
  for name, images in sets.items():
    ours[name] = summarise(
      network,
      features.image_set(images),
      keep_features=True,
      splits=10,
      batch_size=16,
    )
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
      parts = [extractor(batch) for batch in tensor.split(16)]
    theirs[name] = [torch.cat(p).numpy() for p in zip(*parts, strict=True)]
  with contextlib.redirect_stdout(io.StringIO()):
    expected = peer_scores(
      theirs['fake'][0], theirs['real'][0], theirs['fake'][1]
    )
  assert_parity(
    our_scores(
      ours['fake'].features,
      ours['real'].features,
      (ours['fake'].moments, ours['real'].moments),
      ours['fake'].predictions,
    ),
    expected,
  )


@pytest.mark.parametrize('size', [16, 256])
def test_of_the_same_features(size):
  """More images than dimensions, as scores are meant to be measured."""
  from gan_jax.metrics.frechet import moments
  from gan_jax.metrics.predictions import predictions

  rng = np.random.default_rng(size)
  mix = rng.normal(size=(size, size)) / np.sqrt(size)
  fake = (rng.normal(size=(1_000, size)) @ mix).astype(np.float32)
  real = (0.1 + rng.normal(size=(900, size))).astype(np.float32)
  logits = rng.normal(size=(1_000, 50)).astype(np.float32)
  assert_parity(
    our_scores(
      fake, real, (moments(fake), moments(real)), predictions(logits, splits=10)
    ),
    peer_scores(fake, real, logits),
  )
