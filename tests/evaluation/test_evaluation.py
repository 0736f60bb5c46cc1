"""From sets of images to scores: caching, devices, names, and bad input."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax import features
from gan_jax.config import plan as plans
from gan_jax.evaluation import keys as keys_lib
from gan_jax.evaluation import protocol, report
from gan_jax.evaluation.arrays import score
from gan_jax.evaluation.entries import Inputs, Settings, of_parzen
from gan_jax.evaluation.evaluator import Discriminator, Evaluator, Result
from gan_jax.evaluation.real_images import RealImages
from gan_jax.evaluation.remarks import warnings
from gan_jax.evaluation.scores import (
  BETTER,
  SCORES,
  compute,
  compute_each,
  needs_of,
)
from gan_jax.evaluation.summary import (
  cached_summary,
  digest_images,
  summarise,
)
from gan_jax.features.classifier import random_network
from gan_jax.features.network import FeatureNetwork
from gan_jax.features.weights import MOBILENET_FILE_NAME
from gan_jax.metrics import frechet
from gan_jax.metrics import predictions as predictions_lib
from gan_jax.metrics.colourfulness import colourfulness
from gan_jax.metrics.density_coverage import density_coverage
from gan_jax.metrics.inception_score import inception_score
from gan_jax.metrics.kernel_distance import kernel_distance
from gan_jax.metrics.mode_score import mode_score
from gan_jax.metrics.ms_ssim import ms_ssim_diversity
from gan_jax.metrics.nearest_neighbours import nearest_distances
from gan_jax.metrics.neighbours import neighbourhoods, squared_radii
from gan_jax.metrics.parzen import parzen_score
from gan_jax.metrics.precision_recall import precision_recall
from gan_jax.metrics.psnr import psnr
from gan_jax.metrics.sliced_wasserstein import sliced_wasserstein_images
from gan_jax.metrics.ssim import ssim
from gan_jax.sampling.labels import labels_like
from gan_jax.types import InputError
from tests.helpers import assert_same_bits, load_config


def some_images(num=60, shape=(8, 8, 1), seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (num, *shape)).astype(np.uint8)


@pytest.fixture(scope='module')
def network():
  """Features and ten classes, with random weights."""
  plain = random_network((8, 8, 1), feature_dim=6)

  def apply(variables, images):
    out = plain.apply(variables, images)['features'][:, :6]
    return {'features': out, 'logits': jnp.concatenate([out, 2 * out], axis=1)}

  return plain._replace(apply=apply, name='toy', classes=tuple('abcdefghijkl'))


@pytest.fixture(scope='module')
def inputs(network):
  real, fake = (
    summarise(
      network,
      features.image_set(some_images(seed=seed)),
      keep_features=True,
      keep_images=60,
      keep_seen=True,
      splits=2,
    )
    for seed in (1, 2)
  )
  settings = Settings(
    kid_subsets=3, kid_subset_size=20, ssim_pairs=8, projections=16
  )
  test, train = some_images(30, seed=3), some_images(30, seed=4)
  logits = np.arange(3.0), np.arange(4.0), 0.0
  labels, paths = np.arange(60) % 12, {'w': np.arange(5.0), 'z': np.ones(5)}
  return Inputs(
    network, real, fake, settings, train, test, logits, labels, paths
  )


# Scores of images that have colours, and more than a window of pixels.
OF_PICTURES = ('psnr', 'ssim', 'colourfulness')


def with_pictures(inputs):
  """Instead of the fixture's images, with targets."""
  real, fake, targets = (some_images(60, (12, 12, 3), s) for s in (7, 8, 9))
  return inputs._replace(
    real=inputs.real._replace(images=real),
    fake=inputs.fake._replace(images=fake),
    targets=targets,
  )


# --- One pass ---------------------------------------------------------------


def test_a_summary_keeps_what_it_is_asked_to(network):
  images = features.image_set(some_images())
  plain = summarise(network, images)
  assert plain.features is None
  assert plain.images is None
  kept = summarise(
    network, images, keep_features=True, keep_images=41, batch_size=16
  )
  np.testing.assert_array_equal(kept.images, some_images()[:41])
  assert kept.features.shape == (60, 6)
  np.testing.assert_allclose(
    kept.moments.mean, kept.features.mean(axis=0), rtol=1e-5
  )
  assert kept.predictions.nums.sum() == kept.predictions.counts.sum() == 60


def test_summaries_of_four_devices_and_other_batches_agree(network):
  images = features.image_set(some_images())
  one = summarise(network, images)
  for keys in (dict(devices=jax.local_devices()), dict(batch_size=7)):
    other = summarise(network, images, **keys)
    for a, b in (
      (one.moments.mean, other.moments.mean),
      (one.moments.covariance, other.moments.covariance),
      (one.predictions.probabilities, other.predictions.probabilities),
    ):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.abs(a).max())


def assert_same_summary(a, b):
  same = [s._replace(images_per_second=0.0)._asdict() for s in (a, b)]
  for summary in same:
    summary['predictions'] = summary['predictions']._asdict()
    summary['moments'] = summary['moments']._asdict()
  assert_same_bits(*same)


@pytest.mark.parametrize('keep_features', [False, True])
def test_cached_is_fresh_bit_for_bit(network, tmp_path, keep_features):
  images = features.image_set(some_images())
  keys = dict(
    directory=tmp_path,
    digest=digest_images(images),
    keep_features=keep_features,
  )
  fresh = cached_summary(network, images, **keys)
  never = images._replace(read=None)  # nothing is read again
  assert_same_summary(cached_summary(network, never, **keys), fresh)
  assert_same_summary(
    summarise(network, images, keep_features=keep_features), fresh
  )


def test_a_cached_summary_without_features_is_made_anew(network, tmp_path):
  images = features.image_set(some_images())
  keys = dict(directory=tmp_path, digest=digest_images(images))
  assert cached_summary(network, images, **keys).features is None
  full = cached_summary(network, images, keep_features=True, **keys)
  assert full.features.shape == (60, 6)
  assert cached_summary(network, images, **keys).features is None
  assert len(list(tmp_path.glob('*.npz'))) == 1


def test_the_key_is_made_of_all_that_touches_statistics(network, tmp_path):
  one, two = (features.image_set(some_images(seed=s)) for s in (0, 1))
  digests = digest_images(one), digest_images(two)
  assert digests[0] != digests[1]
  assert digest_images(one, block=7) == digest_images(one, block=7)
  others = [
    network._replace(digest='x'),
    network._replace(resize='other'),
    network._replace(name='other'),
  ]
  for each in (network, *others):
    for digest in digests:
      cached_summary(each, one, directory=tmp_path, digest=digest)
  assert len(list(tmp_path.glob('*.npz'))) == 8


# --- Scores -----------------------------------------------------------------


@pytest.mark.parametrize('name', sorted(SCORES))
def test_every_score_gives_what_it_says_and_says_what_it_measured(inputs, name):
  score = SCORES[name]
  inputs = with_pictures(inputs) if name in OF_PICTURES else inputs
  results = compute(inputs, [name])
  suffix = '_toy' if score.of_network else ''
  assert list(results) == [f'{given}{suffix}' for given in score.gives]
  # Train and test images stand in for the real set where both are needed.
  num_real = 30 if 'splits' in score.needs else 60
  num_real = 3 if 'disc' in score.needs else num_real
  num_fake = 4 if 'disc' in score.needs else 60
  for entry in results.values():
    assert np.isfinite(entry['value'])
    assert (entry['num_real'], entry['num_fake']) == (num_real, num_fake)


def test_every_entry_is_its_metric_of_the_right_sets(network):
  """Sets of unequal size and spread: nothing may be swapped."""
  wide, narrow = some_images(50, seed=1), some_images(40, seed=2)
  narrow = (0.9 * narrow).astype(np.uint8)
  real, fake = (
    summarise(
      network,
      features.image_set(images),
      keep_features=True,
      keep_images=99,
      keep_seen=True,
      splits=splits,
    )
    for images, splits in ((wide, 1), (narrow, 4))
  )
  settings = Settings(kid_subsets=2, kid_subset_size=20, ssim_pairs=9)
  train, test = some_images(30, seed=3), some_images(20, seed=4) // 2
  logits = np.array([1.0, -1, 1, 1]), np.array([-1.0, 1, 1]), 0.0
  outputs = network.apply(network.variables, narrow)['logits']
  labels = np.array(outputs).argmax(axis=1)
  labels[:10] = (labels[:10] + 1) % 12
  paths = {'w': np.arange(200.0), 'z': np.ones(9)}
  inputs = Inputs(
    network, real, fake, settings, train, test, logits, labels, paths
  )
  names = set(SCORES) - set(OF_PICTURES)
  found = {k: e['value'] for k, e in compute(inputs, names).items()}
  parts = predictions_lib.predictions(np.asarray(outputs), splits=4)
  balls = neighbourhoods(real.features, fake.features, [3, 5])
  keys = dict(num_projections=512, seed=0)
  expected = {
    'fid': frechet.frechet_distance_of_features(real.features, fake.features),
    'kid': kernel_distance(
      real.features, fake.features, num_subsets=2, subset_size=20
    ).value,
    'inception_score': inception_score(parts).value,
    'mode_score': mode_score(parts, real.predictions.marginal),
    'modes': np.count_nonzero(parts.counts),
    'label_accuracy': 30 / 40,
    'ppl_w': 99.5,
    'ppl_z': 1.0,
    'precision': precision_recall(balls[3]).precision,
    'recall': precision_recall(balls[3]).recall,
    'density': density_coverage(balls[5]).density,
    'coverage': density_coverage(balls[5]).coverage,
  }
  expected = {f'{name}_toy': value for name, value in expected.items()}
  expected |= {
    'ms_ssim': ms_ssim_diversity(narrow, num_pairs=9, seed=0).mean,
    'sliced_wasserstein': sliced_wasserstein_images(wide, narrow, **keys)[
      'mean'
    ],
    'parzen': parzen_score(narrow, train, test).mean,
    'nearest_train': nearest_distances(narrow, train).mean(),
    'nearest_test': nearest_distances(narrow, test).mean(),
    'nearest_train_of_test': nearest_distances(test, train).mean(),
    'disc_accuracy_real': 3 / 4,
    'disc_accuracy_fake': 1 / 3,
  }
  assert 0.05 < expected['precision_toy'] != expected['recall_toy']
  for name, value in expected.items():
    np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
  entry = of_parzen(inputs._replace(validation=narrow))['parzen']
  direct = parzen_score(narrow, narrow, test)  # with the least sigma
  assert entry['value'] == direct.mean != expected['parzen']
  assert entry['sigma_chosen_on'] == 'validation'
  shares = parts.counts / 40
  kl = np.sum(shares * np.log(np.where(shares > 0, 12 * shares, 1)))
  np.testing.assert_allclose(found['modes_kl_toy'], kl, rtol=1e-6)


def test_scores_of_pictures_are_of_fakes_beside_their_own_targets(inputs):
  inputs = with_pictures(inputs)
  fake, targets = inputs.fake.images, inputs.targets
  found = compute(inputs, OF_PICTURES)
  for name, values in (
    ('psnr', psnr(fake, targets)),
    ('ssim', ssim(fake, targets)),
    ('colourfulness', colourfulness(fake)),
  ):
    entry = found[name]
    np.testing.assert_allclose(entry['value'], values.mean())
    error = values.std(ddof=1) / len(values) ** 0.5
    np.testing.assert_allclose(entry['standard_error'], error)
  of_real = colourfulness(inputs.real.images).mean()
  np.testing.assert_allclose(found['colourfulness']['of_real'], of_real)
  with pytest.raises(InputError, match='psnr needs targets'):
    compute(inputs._replace(targets=None), ['psnr'])


class Copy:
  """Stands in for a G that has the image that its source belongs to."""

  num_classes, columns, exact = 0, ('source',), True
  denoising = None

  def stream(self, num, *, seed, truncation, labels, given):
    return lambda indices: given(indices)['source']


def test_targets_are_in_the_order_of_the_sources(digits, tmp_path):
  """Of some of the split, from the start again: each fake beside its own."""
  plain = digits.test.read(np.arange(digits.info.num_test))['images']
  test = copy.copy(digits.test)
  test.given = lambda names, indices: {'source': plain[indices] // 2}
  keys = eval_keys(num_real=50, split='test')
  evaluator = Evaluator(
    keys, digits._replace(test=test), progress=False, cache=tmp_path
  )
  found = evaluator.score(Copy(), ['psnr'], 70).scores['psnr']
  order = np.sort(np.random.default_rng(keys.seed).permutation(len(plain))[:50])
  targets = plain[order[np.arange(70) % 50]]
  np.testing.assert_allclose(found['value'], psnr(targets // 2, targets).mean())
  assert (found['num_real'], found['num_fake']) == (70, 70)


def test_scores_of_pixels_say_how_many_images_they_saw(inputs):
  few = inputs._replace(
    real=inputs.real._replace(images=some_images(20)),
    fake=inputs.fake._replace(images=some_images(10, seed=9)),
  )
  scores = compute(few, ['fid', 'ms_ssim'])
  counts = [(e['num_real'], e['num_fake']) for e in scores.values()]
  assert counts == [(60, 60), (20, 10)]


def test_the_bias_is_that_of_both_sample_sizes(inputs):
  few = inputs.fake._replace(
    moments=inputs.fake.moments._replace(num=10), num=10
  )
  biases = [
    compute(each, ['fid'])['fid_toy']['expected_bias']
    for each in (inputs, inputs._replace(fake=few))
  ]
  np.testing.assert_allclose(biases[1] / biases[0], 3.5, rtol=1e-9)


def test_inception_scores_have_plain_names(inputs):
  known = inputs._replace(network=inputs.network._replace(name='inception'))
  assert list(compute(known, ['fid', 'ms_ssim'])) == ['fid', 'ms_ssim']


def test_all_that_is_ranked_is_given():
  assert set(BETTER) <= {given for s in SCORES.values() for given in s.gives}


def test_what_a_score_needs_and_lacks_is_named(inputs):
  bare = inputs._replace(
    network=inputs.network._replace(classes=()),
    fake=inputs.fake._replace(predictions=None, features=None, images=None),
    test=None,
    logits=None,
  )
  for name, message in (
    ('inception_score', 'inception_score needs a network with classes, and to'),
    ('kid', 'kid needs features'),
    ('ms_ssim', 'ms_ssim needs images'),
    ('parzen', 'parzen needs splits'),
  ):
    with pytest.raises(InputError, match=message):
      compute(bare, [name])
  nameless = inputs._replace(network=inputs.network._replace(classes=()))
  with pytest.raises(InputError, match='modes is of the classes of the data'):
    compute(nameless, ['modes'])
  with pytest.raises(InputError, match='told none; leave it out, or train'):
    compute(inputs._replace(labels=None), ['label_accuracy'])
  with pytest.raises(InputError, match=r"eval.scores: unknown name 'fad'; val"):
    needs_of(['fid', 'fad'])


def test_a_score_that_cannot_be_had_costs_no_other(network):
  images = features.image_set(some_images(4)[:, :5, :5])
  few = summarise(network, images, keep_features=True, keep_images=4)
  inputs = Inputs(network, few, few, Settings(ssim_pairs=2))
  names = ('fid', 'sliced_wasserstein', 'ms_ssim')
  names += ('density_coverage', 'precision_recall')
  found, problems = compute_each(inputs, names)
  assert list(found) == ['fid_toy', 'ms_ssim', 'precision_toy', 'recall_toy']
  assert {name: str(problem) for name, problem in problems.items()} == {
    'sliced_wasserstein': 'images: 5x5; patches need 7 pixels',
    'density_coverage': 'eval.coverage_k: 5 neighbours need 6 images, and '
    'there are 4 real and 4 generated ones',
  }
  with pytest.raises(InputError, match='patches need 7 pixels'):
    compute(inputs, names)


def test_a_summary_does_not_need_its_cache(network, tmp_path):
  images = features.image_set(some_images(4))
  (tmp_path / 'file').touch()
  keys = dict(directory=tmp_path / 'file' / 'statistics', digest='x')
  assert cached_summary(network, images, **keys).num == 4


def test_too_few_images_are_named(network):
  images = features.image_set(some_images(3))
  few = summarise(network, images, keep_features=True)
  inputs = Inputs(network, few, few, Settings())
  with pytest.raises(InputError, match='5 neighbours need 6 images'):
    compute(inputs, ['density_coverage'])
  one = features.image_set(some_images(1))
  with pytest.raises(InputError, match='1 vectors have no covariance'):
    summarise(network, one)


def test_warnings_name_the_bias_and_a_poor_classifier(inputs):
  scores = compute(inputs, ['fid'])
  assert warnings(inputs, scores) == []
  wide = inputs.real.moments._replace(mean=np.zeros(100))
  poor = inputs.network._replace(notes={'classifier_test_accuracy': 0.5})
  lines = warnings(
    inputs._replace(real=inputs.real._replace(moments=wide), network=poor),
    scores,
  )
  assert len(lines) == 3
  unknown = poor._replace(notes={'classifier_test_accuracy': None})
  (line,) = warnings(inputs._replace(network=unknown), scores)
  assert 'no test image has a label' in line
  bias = scores['fid_toy']['expected_bias']
  assert '60 real images are too few for 100 features' in lines[0]
  assert f'about {bias:.3g}' in lines[0]
  assert 'right on 50% of the test images' in lines[2]


def test_the_report_shows_every_score_with_its_protocol(inputs):
  scores = compute(inputs, set(SCORES) - set(OF_PICTURES))
  scores |= compute(with_pictures(inputs), OF_PICTURES)
  record = protocol.record(
    inputs.network,
    num_real=60,
    num_fake=60,
    split='train',
    data='toys 1.0',
    image_shape=(8, 8, 1),
    real_digest='f' * 64,
    step=7,
    weights='ema',
  )
  lines = report.report(Result(scores, record, ['mind the gap'], 123.4))
  text = '\n'.join(lines)
  for name in scores:
    assert f'  {name} ' in text
  for shown in ('weights ema', 'network toy', 'resize none', 'split train'):
    assert shown in text
  assert 'image_shape 8 x 8 x 1' in text
  assert f'network_digest {inputs.network.digest[:12]},' in text
  assert '+- standard error' in text
  assert lines[-1] == 'warning: mind the gap'
  measured = lines[lines.index('measured with') :]
  assert max(map(len, measured)) <= 80


def test_two_arrays_are_scored_without_a_run(network, inputs):
  real, fake = some_images(seed=1), some_images(seed=2)
  names = ['fid', 'kid', 'inception_score', 'precision_recall', 'ms_ssim']
  settings = inputs.settings._replace(splits=2)
  scores = score(fake, real, network, names, settings=settings)
  assert scores == compute(inputs._replace(settings=settings), names)
  with pytest.raises(InputError, match='nearest_neighbours needs splits'):
    score(fake, real, network, ['nearest_neighbours'])
  with pytest.raises(InputError, match=r'shape \(8, 8, 1\), generated ones'):
    score(some_images(shape=(4, 4, 1)), real, network)


def test_scores_of_two_arrays_by_name():
  generated, real = some_images(num=30, seed=1), some_images(num=40, seed=2)
  found = gan_jax.score(generated, real, scores=('fid', 'precision_recall'))
  assert list(found) == ['fid_random', 'precision_random', 'recall_random']
  entry = found['fid_random']
  assert (entry['num_fake'], entry['num_real']) == (30, 40)
  network = random_network(real.shape[1:])
  assert (
    found['fid_random'] == gan_jax.score(generated, real, network)['fid_random']
  )
  for wrong, message in (
    (
      dict(network='vgg'),
      "network: unknown name 'vgg'; valid: inception, lpips, mobilenet",
    ),
    (dict(scores=('fit',)), "scores: unknown name 'fit'"),
  ):
    with pytest.raises(InputError, match=message):
      gan_jax.score(generated, real, **wrong)
  with pytest.raises(InputError, match='images: float32'):
    gan_jax.score(np.float32(generated), real)


# --- An evaluator -----------------------------------------------------------


def eval_keys(**changes):
  config = load_config('mlp_digits')
  config.eval.update(network='random', num_samples=20, **changes)
  return config.eval


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (dict(num_samples=0), r'eval.num_samples: 0 is not at least 1'),
    (dict(num_real=-1), r'eval.num_real: -1 is negative'),
    (dict(every=-5), r'eval.every: -5 is negative'),
    (dict(network='vgg'), r"eval.network: unknown name 'vgg'; valid: auto,"),
    (dict(split='val'), r"eval.split: unknown name 'val'; valid: test, train"),
    (dict(batch_norm='off'), r"eval.batch_norm: unknown name 'off'"),
    (dict(scores=('fid,nothing',)), r"eval.scores: unknown name 'nothing'"),
    (dict(scores=('modes',)), r'eval.scores: modes needs classes of the data'),
    (dict(seed=-1), r'eval.seed: -1 is not between'),
    (dict(truncation=-1.0), r'eval.truncation: -1.0 is not from 0 on'),
    (dict(kid_subset_size=1), r'eval.kid_subset_size: 1 is not at least 2'),
  ],
)
def test_keys_are_checked_before_any_work(digits, changes, message):
  keys = eval_keys()
  keys.update(changes)
  with pytest.raises(InputError, match=message):
    keys_lib.check(keys, digits.info)


def test_no_names_mean_all_that_the_network_can_give(digits):
  keys = eval_keys()
  given = keys_lib.check(keys, digits.info)
  assert set(SCORES) - set(given) == {
    'fid_infinity',
    'parzen',
    'ppl',
    'inception_score',
    'mode_score',
    'modes',
    'label_accuracy',
    'psnr',
    'ssim',
    'colourfulness',
  }
  keys.network = 'classifier'
  for told in ((), ('labels',), ('labels', 'source'), ('source',)):
    given = keys_lib.check(keys, digits.info, told=told)
    assert ('label_accuracy' in given) == ('labels' in told)
    assert ('psnr' in given) == ('ssim' in given) == ('source' in told)
  keys.network = 'inception'
  assert 'inception_score' in keys_lib.check(keys, digits.info)
  keys.every_scores = ()
  with pytest.raises(InputError, match=r'eval.every_scores: no score is named'):
    keys_lib.check(keys, digits.info, 'every_scores')


@pytest.mark.parametrize(
  ('network', 'names', 'taken'),
  [
    ('auto', ('parzen', 'ms_ssim'), 'random'),
    ('auto', ('parzen', 'fid'), 'auto'),
    ('classifier', ('parzen',), 'classifier'),
  ],
)
def test_scores_of_pixels_need_no_network(network, names, taken):
  """Nothing is trained for them, unless it is asked for."""
  keys = plans.read(load_config('mlp_digits', eval__network=network)).eval
  assert keys_lib.of_pixels(keys, names).network == taken


def test_auto_takes_what_is_there(digits, tmp_path):
  """Labels before weights, weights before random ones; a name stays."""
  keys = eval_keys()
  assert load_config('mlp_digits').eval.network == 'auto'
  keys.network, bare = 'auto', digits.info._replace(class_names=())

  def taken(info=bare):
    return keys_lib.network_of(keys, info, tmp_path)

  assert taken(digits.info) == 'classifier'
  assert 'modes' in keys_lib.check(keys, digits.info, cache=tmp_path)
  assert taken() == 'random'
  assert taken(digits.info._replace(class_names=('only',))) == 'random'
  assert 'kid' in keys_lib.check(keys, bare, cache=tmp_path)
  keys.weights = 'somewhere.npz'
  assert taken() == 'mobilenet'
  keys.weights = ''
  (tmp_path / MOBILENET_FILE_NAME).touch()
  assert taken() == 'mobilenet'
  scores = keys_lib.check(keys, bare, cache=tmp_path)
  assert 'inception_score' in scores
  assert 'modes' not in scores
  for name in keys_lib.NETWORKS[1:]:  # as in config.json of older runs too
    keys.network = name
    assert taken() == name


def test_unlabelled_data_has_a_default(digits, tmp_path):
  """Random features, which the record names and a warning is about."""
  keys = eval_keys()
  keys.network, keys.kid_subsets = 'auto', 2
  bare = digits._replace(info=digits.info._replace(class_names=()))
  evaluator = Evaluator(keys, bare, progress=False, cache=tmp_path)
  result = evaluator.score(Noise(), ['fid', 'kid'], 200)
  assert list(result.scores) == ['fid_random', 'kid_random']
  assert result.protocol['network'] == 'random'
  warned = [x for x in result.warnings if 'rank nothing reliably' in x]
  assert len(warned) == 1
  assert 'eval.weights=FILE' in warned[0]


def test_weights_that_nothing_reads_are_warned_of(digits, tmp_path):
  keys = eval_keys(weights='net.npz')
  evaluator = Evaluator(keys, digits, progress=False, cache=tmp_path)
  result = evaluator.score(Noise(), ['fid'], 20)
  assert any('random reads no file' in line for line in result.warnings)


def test_subsets_as_large_as_a_set_are_warned_of(inputs):
  for size, warned in ((59, 0), (60, 1), (1_000, 1)):
    settings = inputs.settings._replace(kid_subset_size=size)
    few = inputs._replace(settings=settings)
    lines = warnings(few, compute(few, ['kid']))
    assert len(lines) == warned
    assert all('each subset holds all 60 images' in line for line in lines)


def test_the_classifier_needs_labels(digits):
  keys = eval_keys()
  keys.network = 'classifier'
  with pytest.raises(InputError, match='trained on labels, and digits has no'):
    keys_lib.check(keys, digits.info._replace(class_names=()))


def test_names_of_scores_from_a_flag():
  assert keys_lib.score_names(('fid, kid', 'modes')) == ('fid', 'kid', 'modes')


class Noise:
  """Stands in for a sampler: uniform noise."""

  num_classes, columns, exact = 0, (), True
  denoising = None

  def stream(self, num, *, seed, truncation, labels):
    return some_images(num, seed=seed).__getitem__


class Perfect:
  """Stands in for a conditional sampler: real images of the class asked for."""

  num_classes, columns, exact = 10, (), True
  denoising = None

  def __init__(self, images, labels):
    self._of_class = [images[labels == label] for label in range(10)]

  def stream(self, num, *, seed, truncation, labels):
    self.asked, rng = labels, np.random.default_rng(seed)
    drawn = np.stack([rng.choice(self._of_class[label]) for label in labels])
    return drawn.__getitem__

  def labels(self, num):
    return np.arange(num, dtype=np.int32) % 10


class Uneven:
  """Of some images, 10 zeros for each one; labels as they are, or hidden."""

  def __init__(self, images, hidden=False):
    read = images.read(np.arange(len(images)))
    zero, one = (np.flatnonzero(read['labels'] == k) for k in (0, 1))
    chosen = np.concatenate([zero[:90], one[:10]])
    self.images, self.labels = (read[k][chosen] for k in ('images', 'labels'))
    if hidden:
      self.labels = np.full_like(self.labels, -1)
    self.labelled = True

  def __len__(self):
    return len(self.images)

  def whole(self):
    return {'images': self.images, 'labels': self.labels}


def test_fakes_of_a_conditional_model_are_labelled_as_the_data(
  digits, tmp_path
):
  """A perfect G of 9:1 data is near it; with equal classes it is not."""
  uneven = Uneven(digits.train)
  perfect = Perfect(uneven.images, uneven.labels)
  found = {}
  for case, train in (
    ('known', uneven),
    ('hidden', Uneven(digits.train, True)),
  ):
    data = digits._replace(train=train)
    evaluator = Evaluator(
      eval_keys(split='train'), data, progress=False, cache=tmp_path
    )
    if case == 'hidden':
      asked = np.arange(100) % 2  # of the two classes that there are
      perfect.labels = lambda num, asked=asked: asked
    result = evaluator.score(perfect, ['fid'], 100)
    found[case] = result.scores['fid_random']['value']
    record = result.protocol['fake_labels']
    if case == 'known':
      assert record == 'as of real images'
      assert np.bincount(perfect.asked).tolist() == [90, 10]
      assert len(np.unique(perfect.asked[:20])) == 2  # mixed
    else:
      assert record == 'all in turn'
  assert found['known'] < 0.2 * found['hidden']


@pytest.mark.parametrize('num', [1, 7, 100, 1_000])
def test_labels_come_as_often_as_in_the_data(num):
  labels = np.array([2] * 75 + [0] * 25 + [-1] * 50)
  drawn = labels_like(labels, num)
  assert drawn.dtype == np.int32
  counts = np.bincount(drawn, minlength=3)
  assert counts[1] == 0
  np.testing.assert_allclose(counts, num * np.array([0.25, 0, 0.75]), atol=1)


def test_an_evaluator_scores_with_a_network_of_ones_own(digits, tmp_path):
  def pixels(images):
    return images[:, ::3, ::3, 0].reshape(len(images), -1) / 255.0

  own = features.from_callable(pixels, 'pixels', digest='1')
  evaluator = Evaluator(
    eval_keys(num_real=200, split='test'),
    digits,
    network=own,
    progress=False,
    cache=tmp_path,
  )
  result = evaluator.score(Noise(), ['fid'], 50, step=3)
  assert list(result.scores) == ['fid_pixels']
  record = result.protocol
  assert (record['num_real'], record['num_fake']) == (200, 50)
  assert (record['split'], record['step']) == ('test', 3)
  assert record['network_digest'] == '1'
  assert set(protocol.MEASURE) <= set(record)


def test_radii_of_the_real_images_are_worked_out_once(
  digits, tmp_path, monkeypatch
):
  evaluator = Evaluator(
    eval_keys(num_real=60),
    digits,
    progress=False,
    cache=tmp_path,
  )
  counted = []

  def counting(points, *args):
    counted.append(len(points))
    return squared_radii(points, *args)

  monkeypatch.setattr('gan_jax.metrics.neighbours.squared_radii', counting)
  found = [
    evaluator.score(Noise(), ['precision_recall'], num).scores
    for num in (40, 50, 40)
  ]
  assert counted == [60, 40, 50, 40]
  assert found[0] == found[2]


def test_accuracy_of_a_conditional_d_needs_labels_of_test(digits, tmp_path):
  """It must be neither shown class K-1 nor end in a KeyError."""
  hidden = copy.copy(digits.test)
  hidden.labelled = False
  seen = []

  def logits(images, labels):
    seen.append(labels)
    return np.zeros(len(images))

  keys = dict(progress=False, cache=tmp_path)
  data = digits._replace(test=hidden)
  evaluator = Evaluator(eval_keys(num_real=50), data, **keys)
  names = ['disc_accuracy', 'nearest_neighbours']
  disc = Discriminator(logits, 0.0, conditional=True)
  result = evaluator.score(Noise(), names, 20, disc=disc)
  assert not [name for name in result.scores if 'disc' in name]
  assert 'disc_accuracy is left out' in result.warnings[0]
  with pytest.raises(InputError, match='those of the test images are hidden'):
    evaluator.score(Noise(), names[:1], 20, disc=disc)
  assert evaluator.score(Noise(), names[1:], 20, disc=disc).warnings == []
  assert not seen
  blind = disc._replace(conditional=False)
  assert (
    'disc_accuracy_real'
    in evaluator.score(Noise(), names, 20, disc=blind).scores
  )


def test_fakes_that_are_told_more_need_labels_of_their_split(digits, tmp_path):
  """G has the label of the image that it is told of: none is one line."""
  hidden = copy.copy(digits.test)
  hidden.labelled = False
  keys = eval_keys(num_real=50, split='test')
  told = Noise()
  told.num_classes, told.columns = 10, ('source',)
  unknown = Uneven(digits.test, hidden=True)
  unknown.given = lambda names, indices: {
    name: unknown.whole()[name][indices] for name in names
  }
  for test in (hidden, unknown):
    data = digits._replace(test=test)
    evaluator = Evaluator(keys, data, progress=False, cache=tmp_path)
    with pytest.raises(InputError, match=r'eval.split: images of test have no'):
      evaluator.score(told, ['fid'], 20)


def test_a_wrong_channel_count_is_named(digits, tmp_path):
  keys = eval_keys()
  evaluator = Evaluator(keys, digits, progress=False, cache=tmp_path)
  assert evaluator.network.channels == (1,)
  three = FeatureNetwork('three', None, {}, 'x', channels=(3,))
  other = Evaluator(keys, digits, network=three, progress=False, cache=tmp_path)
  with pytest.raises(InputError, match='three takes images of 3 channels'):
    other.score(Noise(), ['fid'], 20)


def test_no_weights_say_where_to_put_them(digits, tmp_path):
  keys = eval_keys()
  keys.network = 'inception'
  evaluator = Evaluator(keys, digits, progress=False, cache=tmp_path)
  with pytest.raises(InputError, match=r'eval.weights'):
    evaluator.score(Noise(), ['fid'], 20)


def test_real_images_in_memory_or_streamed_are_the_same(digits, monkeypatch):
  held = RealImages(digits, split='test', num=50, seed=3)
  streamed = RealImages(digits, split='test', num=50, seed=3)
  everything = np.arange(50)
  first = held.reference.read(everything)
  monkeypatch.setattr('gan_jax.evaluation.real_images._HELD', 0)
  np.testing.assert_array_equal(streamed.reference.read(everything), first)
  assert held.digest == streamed.digest
  order = np.random.default_rng(3).permutation(digits.info.num_test)
  wanted = digits.test.read(np.sort(order[:50]))['images']
  np.testing.assert_array_equal(first, wanted)
  assert not streamed._whole
  assert len(np.unique(first.reshape(50, -1), axis=0)) > 45
  other = RealImages(digits, split='test', num=50, seed=4)
  assert other.digest != held.digest
  assert len(held.sample_of_reference(20)) == 20
  assert len(held.subset('train', 10)['labels']) == 10
  assert held.smaller_split(10**6) == digits.info.num_test
