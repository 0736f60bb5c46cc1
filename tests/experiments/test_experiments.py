"""The experiments: what each writes, and what its table must say."""

import functools
import re
import resource
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import (
  common,
  conditioning,
  disjoint_supports,
  local_convergence,
  loss_landscape,
  metric_directions,
  mode_seeking,
  optimal_discriminator,
  parzen_window,
  reference,
  style_mixing,
  truncation,
)
from gan_jax.data import load_dataset
from gan_jax.features import FeatureNetwork
from gan_jax.features.classifier_training import Recipe
from gan_jax.modes.train import train
from gan_jax.types import InputError
from tests.helpers import ROOT, run_experiment, slow, tiny_digits, tiny_keys

NAMES = sorted(
  path.stem
  for path in (ROOT / 'experiments').glob('*.py')
  if path.stem not in ('common', 'reference', 'results')
)


def cells(table):
  """The rows of a Markdown table, without its head."""
  lines = [line for line in table.splitlines() if line.startswith('|')]
  return [[c.strip() for c in line.strip('|').split('|')] for line in lines[2:]]


def section(path, title):
  """The rows of the table under a heading of a written file."""
  return cells(path.read_text().split(f'## {title}\n')[1].split('##')[0])


# --- Each of them -----------------------------------------------------------


@pytest.mark.slow  # draws an animation
def test_optimal_discriminator(tmp_path):
  """C(G) = -log 4 + 2 JSD in every row, and D nearer to D* when trained on."""
  optimal_discriminator.experiment(tmp_path, steps=200, seed=0)
  with Image.open(tmp_path / 'optimal_discriminator.gif') as picture:
    assert picture.n_frames > 10
  assert (tmp_path / 'optimal_discriminator.png').stat().st_size > 10_000
  path = tmp_path / 'optimal_discriminator.md'
  rows = np.array(section(path, 'Along training'), float)
  np.testing.assert_allclose(rows[:, 2], rows[:, 4], rtol=1e-3)
  assert np.all(rows[:, 3] <= rows[:, 2])  # no D beats D*
  before, after = section(path, 'D trained on against the G of panel a')
  assert float(after[1]) < 0.5 * float(before[1])


@pytest.mark.slow  # trains
def test_loss_landscape(tmp_path):
  loss_landscape.experiment(tmp_path, steps=400, seed=0)
  assert (tmp_path / 'loss_landscape.png').stat().st_size > 10_000
  path = tmp_path / 'loss_landscape.md'
  rows = np.array(section(path, 'Loss and slope against D'), float)
  disc = rows[:, 0]
  expected = [np.log1p(-disc), -disc, -np.log(disc), disc - 1]
  np.testing.assert_allclose(rows[:, 1:].T, expected, rtol=1e-3)
  first, *_, last = np.array(
    section(path, 'Gradient norm while D learns'), float
  )
  assert last[2] < 0.2 * first[2]  # saturating
  assert last[3] > first[3]


@pytest.mark.slow  # minimises from many starts
@jax.enable_x64(True)
def test_forward_kl_covers_and_reverse_kl_seeks(monkeypatch):
  """The rule of the verdict, on the fits; forward KL matches moments."""
  monkeypatch.setattr(mode_seeking, 'STARTS', mode_seeking.STARTS[::5])
  fits = {}
  for name in ('forward KL', 'reverse KL'):
    measure = mode_seeking.DIVERGENCES[name]
    ends = mode_seeking.descend(measure, 2_000)[:, -1]
    fits[name] = mode_seeking.optima(measure, ends)
    np.testing.assert_allclose(sum(f.share for f in fits[name]), 1, rtol=1e-9)
  [covering] = fits['forward KL']
  assert mode_seeking.verdict(covering) == 'covers'
  mean, variance = -0.4, 0.49 + 4.0 - 0.16
  np.testing.assert_allclose(covering.mu, mean, rtol=1e-5)
  np.testing.assert_allclose(covering.sigma, np.sqrt(variance), rtol=1e-5)
  best = fits['reverse KL'][0]
  assert mode_seeking.verdict(best) == 'seeks -2'
  # q on one mode of weight .6 alone: log(1 / .6), but for the overlap.
  np.testing.assert_allclose(best.value, np.log(1 / 0.6), rtol=0.02)
  tables = mode_seeking.closed_form_table(covering)
  assert all(float(row[-1]) < 1e-5 for row in cells(tables))


def test_classes_without_overlap_are_folded_normals():
  """The figures of the dashed limit, by integrals of its density."""
  x = np.linspace(0, 12, 200_001)
  p, dx = conditioning.limit_density(x, 1.0), x[1] - x[0]
  mean = (x * p).sum() * dx
  np.testing.assert_allclose(p.sum() * dx, 1, rtol=1e-4)
  np.testing.assert_allclose(mean, conditioning.LIMIT_MEAN, rtol=1e-4)
  std = np.sqrt(((x - mean) ** 2 * p).sum() * dx)
  np.testing.assert_allclose(std, conditioning.LIMIT_STD, rtol=1e-4)
  below = np.linspace(-12, 0, 200_001)
  overlap = conditioning.density(below, 1.0).sum() * (below[1] - below[0])
  np.testing.assert_allclose(overlap, conditioning.OVERLAP, rtol=1e-4)
  drawn = conditioning.measured(np.array([[[-1.0, -3, 1, -1], [1, 3, 1, 1]]]))
  found = [float(x[0]) for x in drawn[1:]]
  np.testing.assert_allclose(found, [1.25, (2**0.5 + 0.75**0.5) / 2, 0.125])


@pytest.mark.slow  # trains
@pytest.mark.usefixtures('optimised')
def test_a_class_head_pushes_classes_apart_and_a_projection_does_not():
  drawn = {
    name: conditioning.train(conditioning.METHODS[name], 3_000, 2, 0)
    for name in ('projection', 'ACGAN')
  }
  assert np.all(np.abs(drawn['projection'].means - 0.9) < 0.15)  # on its way
  assert np.all(np.abs(drawn['projection'].wrong - 0.16) < 0.04)
  assert np.all(drawn['ACGAN'].means > 1.12)
  assert np.all(drawn['ACGAN'].wrong < 0.02)


def test_lines_that_do_not_meet():
  """log 2 at any distance, and W1 the distance; 0 where they meet."""
  assert disjoint_supports.exact(0.0) == dict(JSD=0.0, TV=0.0, KL=0.0, W1=0.0)
  for theta in (0.1, 0.5, 1.0):
    expected = dict(JSD=np.log(2), TV=1.0, KL=np.inf, W1=theta)
    assert disjoint_supports.exact(theta) == pytest.approx(expected, rel=1e-5)


def test_noise_gives_jsd_a_slope():
  """theta^2 / 8 s^2 to second order, twice of which is its slope's rate."""
  for width in (0.5, 1.0):
    theta = 0.05 * width
    jsd = disjoint_supports.blurred_jsd(theta, width)
    np.testing.assert_allclose(jsd, theta**2 / (8 * width**2), rtol=2e-3)
  ends = {
    name: disjoint_supports.descend(measure)[-1]
    for name, (measure, _) in disjoint_supports.DESCENTS.items()
  }
  np.testing.assert_allclose(ends.pop('JSD, s = .02'), 1.0, rtol=1e-6)
  assert max(map(abs, ends.values())) < 0.02


@pytest.mark.slow  # trains for 1,000 steps at each distance
def test_a_trained_critic_measures_the_distance():
  """theta (1 + theta / 2 lambda), which is what the penalty lets it."""
  thetas = disjoint_supports.THETAS
  w1 = disjoint_supports.trained('wasserstein', 'wgan_gp', 1_000, 0)
  expected = thetas + thetas**2 / (2 * disjoint_supports.GP_WEIGHT)
  np.testing.assert_allclose(w1, expected, atol=0.01)


def test_published_radii_are_met():
  rows = cells(local_convergence.published_table())
  assert len(rows) == 18
  # Rounding, over 500 steps down to radii of 1e-21.
  assert all(float(row[-1]) < 5e-5 for row in rows)


@pytest.mark.slow
def test_local_factors_are_those_of_the_linearisation(monkeypatch):
  """To four digits, for every solver, on two games with eigenvalues."""
  monkeypatch.setattr(local_convergence, 'LOSSES', ('minimax', 'wasserstein'))
  for row in cells(local_convergence.factor_table()):
    for cell in row[2:]:
      predicted, measured = map(float, re.findall(r'[\d.]+', cell))
      # A window of oscillations leaves an error in the slope of log radius.
      np.testing.assert_allclose(measured, predicted, atol=2e-3, rtol=0)


def test_simultaneous_factor_in_closed_form():
  for h in (0.1, 0.2):
    setting = reference.Setting('minimax', rate=h)
    np.testing.assert_allclose(
      reference.local_factor(setting, 'simultaneous'),
      np.sqrt(1 + h**2 / 4),
      rtol=1e-12,
    )
    # Alternating descent of a linear game turns without gain or loss.
    np.testing.assert_allclose(
      reference.local_factor(setting, 'alternating'), 1.0, rtol=1e-12
    )


# The scores of spoilt images take a classifier of real data, truncation and
# mixing a run, see below; mode collapse takes an hour, see
# test_mode_collapse.py.
_LONG = ('metric_directions', 'ring_and_grid', 'stacked_mnist')
_LONG += ('style_mixing', 'truncation', 'counterparts', 'style_transfer')
_LONG += ('emoji_folder', 'coil_folder', 'two_tower', 'text_to_image')
_LONG += ('parzen_window',)
_LONG += ('cross_modal', 'pose_regression', 'augmentation', 'speed_quality')


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in NAMES if n not in _LONG])
def test_each_is_one_command(name, tmp_path):
  """Of two minutes on two cores: CPU time, whatever else runs beside it."""
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  done = run_experiment(name, f'--out={tmp_path}')
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  assert done.returncode == 0, done.stderr
  assert (tmp_path / f'{name}.png').exists()
  assert (tmp_path / f'{name}.md').exists()
  assert re.search(r'done in \d+ s', done.stdout)
  seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
  assert seconds < 240


def by_score(rows):
  """Figures of a table of metric_directions: {score: [one a set]}."""
  return {row[0]: [float(cell) for cell in row[1:]] for row in rows}


def assert_directions(values):
  """Test images, little and much noise, blur, half, one class, copies."""
  as_is, little, much, blur, half, one, copies = range(7)
  for score in ('fid', 'kid', 'sliced_wasserstein'):
    for spoilt in (much, blur, half, one):
      assert values[score][spoilt] > values[score][as_is], (score, spoilt)
  assert values['fid'][much] > values['fid'][little] > values['fid'][as_is]
  for score in ('precision', 'density'):
    assert values[score][much] < values[score][as_is]
  for score in ('recall', 'coverage'):
    assert values[score][one] < values[score][half] < values[score][as_is]
  assert values['precision'][half] > 0.9 * values['precision'][as_is]
  modes = values['modes']
  assert modes[one] <= modes[half] < modes[as_is]
  for score in ('inception_score', 'mode_score'):
    assert values[score][one] < values[score][half] < values[score][as_is]
  assert values['modes_kl'][one] > values['modes_kl'][half] > 0.5
  assert values['ms_ssim'][one] > values['ms_ssim'][as_is]
  # What gives copies away is nothing but their distance.
  assert values['nearest_train'][copies] < 0.2 * values['nearest_train'][as_is]
  assert values['fid'][copies] < 1.5 * values['fid'][as_is]


@pytest.mark.slow  # trains a classifier
def test_scores_move_the_right_way(tmp_path, monkeypatch):
  """On 8x8 digits, with a classifier trained for seconds."""
  recipe = Recipe(width=8, feature_dim=16, epochs=1, min_steps=300)
  quick = functools.partial(
    metric_directions.classifier_network,
    recipe=recipe,
    directory=tmp_path,
    progress=False,
  )
  monkeypatch.setattr(metric_directions, 'classifier_network', quick)
  metric_directions.main(tmp_path, num=1_438, pixels=150, names=('digits',))
  rows = section(tmp_path / 'metric_directions.md', 'digits')
  assert_directions(by_score(rows))
  assert (tmp_path / 'metric_directions.png').stat().st_size > 10_000


@pytest.mark.slow
def test_scores_move_the_right_way_on_real_data(tmp_path):
  for name in ('mnist', 'fashion_mnist'):
    try:
      load_dataset(name)
    except InputError as error:
      pytest.skip(f'{name} is not prepared: {error}')
  done = run_experiment('metric_directions', f'--out={tmp_path}')
  assert done.returncode == 0, done.stderr
  for name in ('mnist', 'fashion mnist'):
    rows = section(tmp_path / 'metric_directions.md', name)
    assert_directions(by_score(rows))


@pytest.mark.slow  # trains a little
def test_a_run_is_scored_at_each_threshold(tmp_path):
  config = tiny_digits(conditional=True)
  train(config, tmp_path / 'run')
  done = run_experiment(
    'truncation',
    f'--workdir={tmp_path / "run"}',
    f'--out={tmp_path}',
    '--num=60',
    '--network=random',
  )
  assert done.returncode == 0, done.stderr
  rows = section(tmp_path / 'truncation.md', 'scores')
  names = ['0.3', '0.44', '0.58', '0.72', '0.86', '1', 'none']
  assert [row[0] for row in rows] == names
  assert len({row[1] for row in rows}) == len(rows)  # each is another FID
  assert (tmp_path / 'truncation.png').stat().st_size > 10_000


def test_what_the_parzen_score_is_taken_of():
  """Faded fakes, training images as they are, and means of these."""
  train = np.array([0, 2, 200, 204], np.uint8).reshape(4, 1, 1, 1)
  fakes = np.full((2, 1, 1, 1), 200, np.uint8)
  sets = parzen_window.sets_of(fakes, train, seed=0)
  assert sets['fakes'].max() == 200
  assert np.all(sets['fakes, contrast 0.8'] == 160)
  assert set(sets['training images'].flat) <= set(train.flat)
  assert sorted(sets['centres of k-means'].flat) == [1, 202]


def test_few_images_of_each_set_are_a_row():
  sets = {name: np.zeros((3, 8, 8, 1), np.uint8) for name in 'abcd'}
  (axis,) = parzen_window.draw(sets).axes
  assert axis.get_images()[0].get_extent() == [0, 3, 4, 0]
  height, width, _ = axis.get_images()[0].get_array().shape
  assert height > width  # four rows of three


@pytest.mark.slow  # trains a little
def test_the_parzen_score_of_a_run(tmp_path):
  train(tiny_digits(), tmp_path / 'run')
  flags = f'--workdir={tmp_path / "run"}', f'--out={tmp_path}'
  done = run_experiment('parzen_window', *flags, '--num=2000')
  assert done.returncode == 2
  assert '--num: 2,000 is more than the' in done.stderr
  flags += ('--num=60',)
  done = run_experiment('parzen_window', *flags)
  assert done.returncode == 0, done.stderr
  rows = {
    row[0]: row[1:] for row in section(tmp_path / 'parzen_window.md', 'scores')
  }
  assert len(rows) == 7
  best = {name: float(row[0].split()[0]) for name, row in rows.items()}
  assert best['training images'] > best['fakes']  # hardly trained
  assert (tmp_path / 'parzen_window.png').stat().st_size > 5_000


@pytest.mark.parametrize(
  ('workdir', 'says'),
  [('', '--workdir: name the folder'), ('/nowhere', '/nowhere holds no run')],
)
def test_truncation_needs_a_run(tmp_path, workdir, says):
  with pytest.raises(InputError, match=says):
    truncation.experiment(tmp_path, workdir, 60, 'random')


class _Halves:
  """An evaluator whose classes are which half of an image is brighter."""

  def __init__(self, keys, dataset):
    def apply(_, images):
      means = images.mean(axis=(2, 3))
      half = means.shape[1] // 2
      logits = jnp.stack(
        [means[:, :half].mean(axis=1), means[:, half:].mean(axis=1)], axis=1
      )
      return {'features': logits, 'logits': logits}

    self.network = FeatureNetwork('halves', apply, {}, 'halves')


@pytest.mark.slow  # trains a little
def test_mixed_images_go_from_one_class_to_the_other(tmp_path, monkeypatch):
  keys = dict.fromkeys(tiny_keys('mlp')) | tiny_keys('stylegan2')
  config = tiny_digits(num_steps=2, network__name='stylegan2', **keys)
  train(config, tmp_path / 'run')
  monkeypatch.setattr(style_mixing, 'Evaluator', _Halves)
  style_mixing.experiment(tmp_path, str(tmp_path / 'run'), 60)
  rows = np.array(section(tmp_path / 'style_mixing.md', 'classes'), float)
  np.testing.assert_array_equal(rows[:, 0], [1, 2, 3])
  np.testing.assert_allclose(rows[:, 1] + rows[:, 2], 1, atol=0.002)  # of two
  assert (np.diff(rows[:, 1]) > 0).all()  # more layers, more of the first
  assert (tmp_path / 'style_mixing.png').stat().st_size > 10_000


def test_a_pair_is_of_two_classes_and_all_are_paired():
  gan = SimpleNamespace(num_classes=4)
  first, second = np.split(style_mixing.labels_of(gan, 24), 2)
  assert set(zip(first, second, strict=True)) == {
    (i, j) for i in range(4) for j in range(4) if i != j
  }
  assert style_mixing.labels_of(SimpleNamespace(num_classes=0), 24) is None


@pytest.mark.slow  # trains a little
def test_mixing_needs_styles(tmp_path):
  with pytest.raises(InputError, match='--workdir: name the folder'):
    style_mixing.experiment(tmp_path, '', 60)
  train(tiny_digits(num_steps=2), tmp_path / 'run')
  with pytest.raises(InputError, match=r'the generator of .* has no styles'):
    style_mixing.experiment(tmp_path, str(tmp_path / 'run'), 60)


# --- Flags and tables -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['--steps=0'], ['--steps', '0', 'at least 1']),
    *(
      slow(*case)
      for case in [
        (['--steps=x'], ['--steps', 'x', 'whole number']),
        (['--stepz=3'], ['--stepz=3', '--help']),
        (['--out=/dev/null/x'], ['/dev/null/x']),
      ]
    ),
  ],
)
def test_a_wrong_flag_is_one_line(arguments, words):
  done = run_experiment('loss_landscape', *arguments)
  assert done.returncode == 2
  assert not done.stdout
  [line] = done.stderr.splitlines()
  assert line.startswith('error: ')
  for word in words:
    assert word in line


@pytest.mark.slow
def test_help_is_the_docstring():
  done = run_experiment('loss_landscape', '--help')
  assert done.returncode == 0
  assert 'arXiv 1406.2661' in done.stdout
  assert '--steps' in done.stdout


@pytest.mark.parametrize(
  ('value', 'cell'),
  [
    (0.0, '0'),
    (0.5, '0.5'),
    (1234.567, '1235'),
    (-0.00012345, '-1.234e-04'),
    (1e6, '1.000e+06'),
    ('word', 'word'),
  ],
)
def test_cells(value, cell):
  assert common.number(value) == cell


def test_markdown():
  table = common.markdown(['a', 'b'], [[1.0, 'x']])
  assert table == '| a | b |\n| --- | --- |\n| 1 | x |\n'
