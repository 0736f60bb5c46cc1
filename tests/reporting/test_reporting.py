"""Rows, grids, curves and animations."""

import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from gan_jax.reporting import curves, pictures, tables
from gan_jax.workdir.board import tag_of
from gan_jax.workdir.logs import MetricsLog, read_metrics
from tests.helpers import ROOT, cli_environment

GAP = 64  # grey level between tiles


def files(folder):
  return sorted(path.name for path in folder.iterdir())


# --- Rows -------------------------------------------------------------------


def events(workdir):
  """All TensorBoard events, in the order of their files."""
  found = []
  for path in sorted(workdir.glob('events.out.*')):
    data = path.read_bytes()
    while data:  # length, its CRC, the event, its CRC
      (length,) = struct.unpack('<Q', data[:8])
      found.append(Event.FromString(data[12 : 12 + length]))
      data = data[16 + length :]
  return found


def scalars(workdir):
  """{(tag, step): value} of TensorBoard's scalars."""
  return {
    (value.tag, event.step): value.simple_value
    for event in events(workdir)
    for value in event.summary.value
  }


def test_rows_are_written_at_once(tmp_path):
  rows = [
    {'step': 5, 'disc_loss': 0.5, 'gen_loss': -2.25},
    {'step': 10, 'disc_loss': 1e-30, 'gen_loss': 3.0},
  ]
  with MetricsLog(tmp_path) as log:
    for count, row in enumerate(rows, 1):
      log.write(
        row['step'], {name: row[name] for name in ('disc_loss', 'gen_loss')}
      )
      # A run that is killed here keeps the row.
      assert read_metrics(tmp_path) == rows[:count]
  text = (tmp_path / 'metrics.jsonl').read_text()
  assert [json.loads(line) for line in text.splitlines()] == rows
  found = scalars(tmp_path)
  for row in rows:
    for name in ('disc_loss', 'gen_loss'):
      np.testing.assert_allclose(
        found[f'loss/{name}', row['step']], row[name], rtol=1e-6
      )
  assert len(found) == 4


@pytest.mark.slow
def test_nothing_is_imported_before_the_first_row():
  """Writers and plots would cost a second or more of every start."""
  code = (
    'import sys, pathlib, tempfile\n'
    'from gan_jax.reporting import curves, pictures\n'
    'from gan_jax.training import loop\n'
    'from gan_jax.workdir import logs\n'
    'with logs.MetricsLog(pathlib.Path(tempfile.mkdtemp())) as log:\n'
    '  log.flush()\n'
    'slow = {"tensorboardX", "torch", "matplotlib", "tensorflow_datasets"}\n'
    'print(sorted(slow & set(sys.modules)))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    env=cli_environment(),
    check=True,
    capture_output=True,
    text=True,
  )
  assert done.stdout.split() == ['[]']


def test_images_go_to_tensorboard(tmp_path):
  picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
  with MetricsLog(tmp_path) as log:
    log.image(7, 'samples', picture)
  images = [
    (event.step, value.tag, value.image)
    for event in events(tmp_path)
    for value in event.summary.value
  ]
  [(step, tag, image)] = images
  assert (step, tag) == (7, 'samples')
  assert (image.height, image.width, image.colorspace) == (2, 4, 3)


@pytest.mark.parametrize(
  ('name', 'tag'),
  [
    ('disc_loss_real', 'loss/disc_loss_real'),
    ('gen_loss_after', 'loss/gen_loss_after'),
    ('penalty', 'loss/penalty'),
    ('disc_accuracy_fake', 'accuracy/disc_accuracy_fake'),
    ('disc_fake_after', 'output/disc_fake_after'),
    ('gen_grad_norm', 'gradients/gen_grad_norm'),
    ('disc_update_ratio', 'updates/disc_update_ratio'),
    ('nearest_diversity', 'diversity/nearest_diversity'),
    ('images_per_second', 'speed/images_per_second'),
    ('something_new', 'other/something_new'),
  ],
)
def test_tags_are_in_groups(name, tag):
  assert tag_of(name) == tag


def test_a_board_begins_with_the_config_and_real_images(tmp_path):
  config = {'loss': 'hinge', 'seed': 3, 'data.flip': False, 'penalty': None}
  config['sweep.penalty_weight'] = [1.0, 2.0]
  picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
  with MetricsLog(
    tmp_path, resume_step=4, config=config, real=lambda: picture
  ) as log:
    log.write(5, {'disc_loss': 1.0})
    log.write(6, {'disc_loss': 1.0})
  found = [(e.step, v) for e in events(tmp_path) for v in e.summary.value]
  assert [(step, value.tag) for step, value in found] == [
    (4, 'config/text_summary'),
    (4, '_hparams_/experiment'),
    (4, '_hparams_/session_start_info'),
    (4, 'real'),
    (5, 'loss/disc_loss'),
    (6, 'loss/disc_loss'),
  ]
  text, _, start, real = [value for _, value in found[:4]]
  assert b'| loss | hinge |' in text.tensor.string_val[0]
  values = HParamsPluginData.FromString(start.metadata.plugin_data.content)
  values = values.session_start_info.hparams
  assert values['loss'].string_value == 'hinge'
  assert values['seed'].number_value == 3
  assert values['data.flip'].WhichOneof('kind') == 'bool_value'
  assert values['sweep.penalty_weight'].string_value == '[1.0, 2.0]'
  assert 'penalty' not in values
  assert (real.image.height, real.image.width) == (2, 4)


def write_rows(workdir, steps, resume_step=0):
  with MetricsLog(workdir, resume_step=resume_step) as log:
    for step in steps:
      log.write(step, {'loss': step + resume_step / 1000})


@pytest.mark.parametrize(
  ('resume_step', 'kept'),
  [(0, []), (250, [100, 200]), (300, [100, 200, 300]), (999, [100, 200, 300])],
)
def test_rows_after_the_resumed_step_are_dropped(resume_step, kept, tmp_path):
  write_rows(tmp_path, (100, 200, 300))
  # The names of event files tell seconds, and less has passed here.
  [first] = tmp_path.glob('events.out.*')
  first.rename(tmp_path / 'events.out.first')
  write_rows(tmp_path, (1000,), resume_step)
  rows = [{'step': step, 'loss': float(step)} for step in kept]
  rows.append({'step': 1000, 'loss': 1000 + resume_step / 1000})
  assert read_metrics(tmp_path) == rows
  starts = [
    event.step for event in events(tmp_path) if event.HasField('session_log')
  ]
  assert starts == [1, resume_step + 1]
  assert [name for name in files(tmp_path) if 'events' not in name] == [
    'metrics.jsonl'
  ]


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path):
  write_rows(tmp_path, (100, 200, 300))
  path = tmp_path / 'metrics.jsonl'
  path.write_text(path.read_text()[:-5])
  whole = [{'step': step, 'loss': float(step)} for step in (100, 200)]
  assert read_metrics(tmp_path) == whole
  write_rows(tmp_path, (300,), 200)
  assert read_metrics(tmp_path) == [*whole, {'step': 300, 'loss': 300.2}]


def test_there_may_be_no_rows(tmp_path):
  assert read_metrics(tmp_path) == []
  write_rows(tmp_path, ())
  assert read_metrics(tmp_path) == []
  assert (tmp_path / 'metrics.jsonl').read_text() == ''
  assert not list(tmp_path.glob('events.out.*'))


# --- Grids ------------------------------------------------------------------


def tiles(count, height=2, width=3, channels=3):
  """Images that differ from each other and from one pixel to the next."""
  shape = (count, height, width, channels)
  return (
    (100 + np.arange(math.prod(shape)) % 150).astype(np.uint8).reshape(shape)
  )


def test_grid_by_hand():
  images = tiles(3)
  out = pictures.grid(images, columns=2, smallest=0)
  assert out.dtype == np.uint8
  assert out.shape == (2 + 2 + 2, 3 + 2 + 3, 3)
  expected = np.full((6, 8, 3), GAP)
  expected[0:2, 0:3] = images[0]
  expected[0:2, 5:8] = images[1]
  expected[4:6, 0:3] = images[2]
  np.testing.assert_array_equal(out, expected)


def test_grid_enlarges_by_a_whole_factor():
  images = tiles(1)
  out = pictures.grid(images, smallest=5)  # 2 pixels high: twice
  np.testing.assert_array_equal(out, np.kron(images[0], np.ones((2, 2, 1))))


@pytest.mark.parametrize(
  ('height', 'scale'), [(8, 7), (28, 2), (32, 1), (56, 1), (64, 1)]
)
def test_grid_enlarges_small_images_only(height, scale):
  out = pictures.grid(np.zeros((1, height, 4, 1), np.uint8))
  assert out.shape == (height * scale, 4 * scale, 3)


def test_grid_spreads_grey():
  images = tiles(1, channels=1)
  out = pictures.grid(images, smallest=0)
  np.testing.assert_array_equal(out, images[0].repeat(3, axis=2))


def columns_and_rows(out, size=4):
  assert out.shape[2] == 3
  return (out.shape[1] + 2) // (size + 2), (out.shape[0] + 2) // (size + 2)


@pytest.mark.parametrize(
  ('count', 'expected'),
  [
    (1, (1, 1)),
    (2, (2, 1)),
    (3, (2, 2)),
    (5, (3, 2)),
    (9, (3, 3)),
    (10, (4, 3)),
    (64, (8, 8)),
  ],
)
def test_grid_is_about_square(count, expected):
  out = pictures.grid(tiles(count, 4, 4), smallest=0)
  assert columns_and_rows(out) == expected


@given(count=st.integers(1, 20), columns=st.integers(1, 8))
def test_grid_holds_every_image_in_reading_order(count, columns):
  images = tiles(count)
  out = pictures.grid(images, columns, smallest=0)
  for i, image in enumerate(images):
    row, column = divmod(i, columns)
    np.testing.assert_array_equal(
      out[4 * row : 4 * row + 2, 5 * column : 5 * column + 3], image
    )
  assert (out != GAP).any(axis=2).sum() == count * 6


@pytest.mark.parametrize(
  ('num_classes', 'expected'),
  [(0, 5), (1, 5), (2, 8), (3, 6), (10, 10), (20, 20), (21, 5), (1000, 5)],
)
def test_a_class_has_a_column_if_it_fits(num_classes, expected):
  assert pictures.columns_of(20, num_classes) == expected
  heads = pictures.heads_of('abcdefghijklmnopqrst'[:num_classes], expected)
  if 2 <= num_classes <= 20:
    assert len(heads) == expected
    assert heads[:num_classes] == heads[-num_classes:]


# --- Sheets -----------------------------------------------------------------


@pytest.mark.parametrize(
  ('size', 'columns', 'scale'),
  [(8, 8, 8), (8, 16, 7), (8, 1, 64), (28, 8, 3), (32, 16, 1), (128, 8, 1)],
)
def test_a_sheet_is_wide_enough_by_a_whole_factor(size, columns, scale):
  images = tiles(columns, size, size, 1)
  out = pictures.sheet({'': images}, columns)
  np.testing.assert_array_equal(
    out, pictures.grid(images, columns, smallest=size * scale)
  )
  assert out.shape[1] >= 512


def test_a_sheet_has_its_blocks_one_below_the_other():
  real, fake = tiles(4, 8, 8, 1), 255 - tiles(8, 8, 8, 1)
  out = pictures.sheet({'real': real, 'generated': fake}, 4)
  above, below = (pictures.grid(x, 4, smallest=128) for x in (real, fake))
  line = (len(out) - len(above) - len(below)) // 2
  np.testing.assert_array_equal(out[line:][: len(above)], above)
  np.testing.assert_array_equal(out[-len(below) :], below)
  for strip in (out[:line], out[-len(below) - line : -len(below)]):
    assert strip.max() > 200  # a title
    assert strip[:, 200:].max() == GAP  # which is short


def test_names_stand_above_columns_and_beside_rows():
  images = tiles(8, 8, 8, 1)
  plain = pictures.sheet({'': images}, 4)
  heads, sides = ('a', 'b', 'c', 'd'), ('x 1\nseed 0', 'x 2\nseed 1')
  out = pictures.sheet({'': images}, 4, heads=heads, sides=sides)
  top, left = (a - b for a, b in zip(out.shape[:2], plain.shape, strict=False))
  np.testing.assert_array_equal(out[top:, left:], plain)
  for i in range(4):
    assert out[:top, left + 130 * i : left + 130 * i + 128].max() > 200
  for i in range(2):
    assert out[top + 130 * i : top + 130 * i + 128, :left].max() > 200
  assert out[:top, :left].max() == GAP
  again = pictures.sheet({'': images}, 4, heads=heads, sides=sides)
  np.testing.assert_array_equal(out, again)


@pytest.mark.parametrize('name', ['W' * 60, 'überstürzt, vom Fahrrad'])
def test_a_long_name_does_not_run_into_the_next(name):
  images = tiles(10, 8, 8, 1)
  heads = [name, *'234567890']
  alone = pictures.sheet({'': images}, 10, heads=[name, *' ' * 9])
  both = pictures.sheet({'': images}, 10, heads=heads)
  assert alone[:28, :56].max() > 200
  assert alone[:28, 57:].max() == GAP
  assert both[:28, 58:].max() > 200


# --- Pictures ---------------------------------------------------------------


@pytest.mark.parametrize('before', [False, True])
def test_save_image(before, tmp_path):
  path = tmp_path / 'samples' / 'step.png'
  picture = tiles(1, 5, 7)[0]
  if before:
    pictures.save_image(path, 255 - picture)
  pictures.save_image(path, picture)
  with Image.open(path) as image:
    assert image.format == 'PNG'
    np.testing.assert_array_equal(np.asarray(image), picture)
  assert files(path.parent) == ['step.png']


@pytest.mark.parametrize(
  ('options', 'duration'), [({}, 80), ({'milliseconds': 250}, 250)]
)
def test_save_gif(options, duration, tmp_path):
  colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
  frames = [np.full((4, 6, 3), colour, np.uint8) for colour in colours]
  pictures.save_gif(tmp_path / 'walk.gif', frames, **options)
  assert files(tmp_path) == ['walk.gif']
  with Image.open(tmp_path / 'walk.gif') as image:
    assert image.format == 'GIF'
    assert image.n_frames == 3
    assert image.info['loop'] == 0  # without end
    for i, frame in enumerate(frames):
      image.seek(i)
      assert image.info['duration'] == duration
      np.testing.assert_array_equal(np.asarray(image.convert('RGB')), frame)


@pytest.mark.parametrize(
  ('save', 'name'),
  [
    (pictures.save_image, 'x.png'),
    (lambda p, x: pictures.save_gif(p, [x]), 'x.gif'),
  ],
)
def test_a_picture_that_fails_leaves_the_old_one(
  save, name, tmp_path, monkeypatch
):
  path = tmp_path / name
  save(path, tiles(1)[0])
  old = path.read_bytes()

  def fail(self, path, **options):
    path.write_bytes(b'half of it')
    raise OSError('no space left on device')

  monkeypatch.setattr(Image.Image, 'save', fail)
  with pytest.raises(OSError, match='no space'):
    save(path, 255 - tiles(1)[0])
  assert path.read_bytes() == old
  assert files(tmp_path) == [name]


# --- Curves -----------------------------------------------------------------


@pytest.mark.parametrize(
  ('window', 'expected'),
  [
    (1, [4.0, 2.0, 9.0, 1.0]),
    (2, [4.0, 3.0, 5.5, 5.0]),
    (3, [4.0, 3.0, 5.0, 4.0]),
    (9, [4.0, 3.0, 5.0, 4.0]),
  ],
)
def test_smooth_by_hand(window, expected):
  out = curves.smooth(np.array([4.0, 2.0, 9.0, 1.0]), window)
  np.testing.assert_allclose(out, expected, rtol=1e-12)


@given(
  values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=30),
  window=st.integers(1, 40),
)
def test_smooth_is_the_mean_of_the_last_ones(values, window):
  out = curves.smooth(np.array(values, float), window)
  expected = [
    np.mean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))
  ]
  np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('outlier', [math.nan, math.inf, 1e30])
def test_smooth_forgets_what_has_left_the_window(outlier):
  out = curves.smooth(np.array([1.0, outlier, 3.0, 4.0, 5.0]), 2)
  np.testing.assert_allclose(out[3:], [3.5, 4.5])


# Of two players; what follows is of one.
FIRST, SECOND = zip(*[p.names for p in curves.PANELS[:6]], strict=True)


def rows_of(names, count=40):
  return [
    {
      'step': 10 * i,
      **{name: math.sin(i / 3 + sum(map(ord, name))) for name in names},
    }
    for i in range(1, count + 1)
  ]


def ink(workdir, rows):
  """Draws the rows; returns [2, 6] numbers of pixels, blue and orange, of
  the six panels.
  """
  workdir.mkdir()
  (workdir / 'metrics.jsonl').write_text(
    ''.join(f'{json.dumps(row)}\n' for row in rows)
  )
  curves.plot_losses(workdir)
  assert files(workdir) == ['losses.png', 'metrics.jsonl']
  with Image.open(workdir / 'losses.png') as image:
    assert image.size == (1440, 730)
    pixels = np.asarray(image.convert('RGB')).astype(int)
  panels = pixels.reshape(2, 365, 3, 480, 3).swapaxes(1, 2).reshape(6, -1, 3)
  return np.stack(
    [
      (abs(panels - colour).max(axis=2) < 8).sum(axis=1)
      for colour in ((31, 119, 180), (255, 127, 14))
    ]
  )


def test_plot_losses_draws_both_curves_of_every_panel(tmp_path):
  assert len({*FIRST, *SECOND}) == 12
  for colour, names in enumerate((FIRST, SECOND)):
    drawn = ink(tmp_path / names[0], rows_of(names))
    # A curve takes hundreds of pixels of its panel. A single one is blue.
    assert drawn[0].min() > 300, colour
    assert drawn[1].max() == 0
  assert ink(tmp_path / 'both', rows_of(FIRST + SECOND)).min() > 300


def test_a_metric_missing_from_some_rows_leaves_the_others_alone(tmp_path):
  rows = rows_of(FIRST + SECOND)
  whole = ink(tmp_path / 'whole', rows)
  for row in rows[:30]:
    del row[FIRST[2]]
  drawn = ink(tmp_path / 'run', rows)
  drawn[0, 2] = whole[0, 2]
  # Blue uncovers what little orange it covered, or the axis is scaled anew.
  np.testing.assert_allclose(drawn, whole, rtol=0.2)
  assert whole.min() > 1000


def test_plot_losses_of_one_row(tmp_path):
  drawn = ink(tmp_path / 'run', rows_of(FIRST + SECOND, 1))
  assert drawn.min() > 60  # the legends have 50, a dot the rest


@pytest.fixture
def drawn(monkeypatch):
  """Figures that are saved, laid out."""
  from matplotlib.figure import Figure

  figures, save = [], Figure.savefig

  def kept(self, *args, **options):
    save(self, *args, **options)
    figures.append(self)

  monkeypatch.setattr(Figure, 'savefig', kept)
  return figures


def shown_of(names, tmp_path, drawn):
  """Titles of the panels of such rows -> names of their curves."""
  rows = rows_of(names, 3)
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  curves.plot_losses(tmp_path)
  return {
    axis.get_title(loc='left'): axis.get_legend_handles_labels()[1]
    for axis in drawn[0].axes
  }


def test_what_d_guesses_has_panels(tmp_path, drawn):
  classes = ['disc_class_loss_real', 'disc_class_loss_fake', 'gen_class_loss']
  codes = ['disc_code_loss', 'gen_code_loss']
  shown = shown_of(('gen_loss', *classes, *codes), tmp_path, drawn)
  assert shown['cross-entropy of classes, nats'] == classes
  assert shown['-log q of codes, nats'] == codes


def test_a_vae_has_panels_of_its_bound(tmp_path, drawn):
  names = ('gen_loss', 'elbo', 'reconstruction', 'kl')
  shown = shown_of(names, tmp_path, drawn)
  assert [name for name in shown if name] == [
    'losses',
    'bound of log p(x), nats',
    'KL divergence, nats',
  ]
  assert shown['losses'] == ['gen_loss']
  assert shown['bound of log p(x), nats'] == ['elbo', 'reconstruction']


def test_nothing_of_a_sweep_is_cut_off(tmp_path, drawn):
  label = 'gen_learning_rate={}, disc_learning_rate=0.0004, penalty_weight=10'
  groups = {label.format(i): [i] for i in range(16)}
  rows = [row | {'member': i} for i in range(16) for row in rows_of(FIRST, 3)]
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  curves.plot_losses(tmp_path, groups, 64)
  [figure] = drawn
  [legend] = figure.legends
  assert [t.get_text() for t in legend.get_texts()] == list(groups)
  box = legend.get_window_extent()
  assert box.x0 >= 0
  assert box.y0 >= 0
  assert box.x1 <= figure.bbox.x1
  for axis in figure.axes:
    assert axis.get_window_extent().height > 150
    assert axis.get_window_extent().y0 > box.y1
  assert len({str(line.get_color()) for line in figure.axes[0].lines}) > 16


def test_only_what_is_logged_has_a_panel(tmp_path, drawn):
  rows = rows_of(('disc_loss', 'gen_loss', 'diversity'), 3)
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  curves.plot_losses(tmp_path, images_per_step=128)
  shown = [axis for axis in drawn[0].axes if axis.get_visible()]
  assert [a.get_title(loc='left') for a in shown] == [
    'losses',
    'diversity: fakes / real',
  ]
  assert {a.get_xlabel() for a in shown} == {'step (128 real images each)'}
  assert drawn[0].get_suptitle() == tmp_path.name  # a row is its own mean


def test_scores_are_over_steps_too(tmp_path, drawn):
  rows = [
    {'step': 100, 'member': None, 'fid': 9.0, 'recall_random': 0.97},
    {'step': 200, 'member': None, 'fid': 8.0, 'recall_random': 0.99},
  ]
  path = tmp_path / 'scores.png'
  curves.plot_scores(path, rows, best_step=200, images_per_step=64)
  fid, recall = drawn[0].axes
  assert fid.get_xlabel() == 'step (64 real images each)'
  assert list(fid.lines[0].get_xdata()) == [100, 200]
  assert recall.get_ylim() == (-0.02, 1.02)


def test_scores_of_several_runs_are_a_curve_a_group(tmp_path, drawn):
  groups = {'rate=1': [0, 1], 'rate=2': [2, 3]}
  rows = [
    {'step': step, 'member': n, 'fid': 10.0 * n + step}
    for step in (1, 2)
    for n in range(4)
  ]
  curves.plot_scores(tmp_path / 'scores.png', rows, groups)
  [figure] = drawn
  [fid] = figure.axes
  means = [line.get_ydata() for line in fid.lines if len(line.get_xdata())]
  np.testing.assert_allclose(means, [[6.0, 7.0], [26.0, 27.0]])
  assert len(fid.collections) == 2  # bands
  low, high = fid.collections[0].get_datalim(fid.transData).intervaly
  spread = np.std([0.0, 10.0], ddof=1)
  np.testing.assert_allclose([low, high], [6.0 - spread, 7.0 + spread])
  [legend] = figure.legends
  assert [t.get_text() for t in legend.get_texts()] == list(groups)
  assert (
    figure.get_suptitle() == 'mean over 2 seeds; band: ± standard deviation'
  )


@pytest.mark.parametrize(
  ('kind', 'values', 'low', 'high'),
  [
    ('share', (0.97, 1.0), (-0.1, 0.0), (1.0, 1.1)),
    ('share', (0.5, 3.0), (-0.1, 0.0), (3.0, 3.3)),  # no share after all
    ('share', (-9.0, 3.0), (-10.0, -9.0), (3.0, 4.0)),
    ('zero', (0.97, 1.0), (0.0, 0.0), (1.0, 1.1)),
    ('zero', (-1.0, 1.0), (-1.2, -1.0), (1.0, 1.2)),
    ('free', (0.97, 1.0), (0.7, 0.8), (1.2, 1.3)),
    ('free', (0.0, 100.0), (-6.0, 0.0), (100.0, 106.0)),
    ('free', (math.nan, 2.0), (1.0, 1.6), (2.4, 3.0)),
  ],
)
def test_axes_make_no_drama_of_a_trifle(kind, values, low, high):
  from matplotlib.figure import Figure

  axis = Figure().subplots()
  axis.plot([1, 2], values)
  curves.set_limits(axis, kind)
  bottom, top = axis.get_ylim()
  assert low[0] <= bottom <= low[1]
  assert high[0] <= top <= high[1]


@pytest.mark.parametrize(
  ('count', 'words'),
  [(4, 'last row of each run'), (40, 'mean of the last 4 logged rows')],
)
def test_a_table_says_what_it_is_the_mean_of(count, words):
  rows = [row | {'member': 0} for row in rows_of(FIRST, count)]
  assert words in tables.final_table(rows, {'': [0]})


def test_a_table_of_one_player_names_what_it_has():
  rows = [
    {'step': step, 'member': 0, 'gen_loss': 3.0, 'elbo': -3.0, 'kl': 1.0}
    for step in range(1, 4)
  ]
  table = tables.final_table(rows, {'': [0]})
  assert '| runs | seeds | gen_loss | elbo | kl |' in table
  assert 'nan' not in table


@pytest.mark.parametrize('text', [None, '', '{"step": 1, "disc_l'])
def test_plot_losses_without_rows_does_nothing(text, tmp_path):
  if text is not None:
    (tmp_path / 'metrics.jsonl').write_text(text)
  curves.plot_losses(tmp_path)
  assert files(tmp_path) == ([] if text is None else ['metrics.jsonl'])
