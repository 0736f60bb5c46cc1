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

from gan_jax.reporting import curves, pictures
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
      np.testing.assert_allclose(found[name, row['step']], row[name], rtol=1e-6)
  assert len(found) == 4


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
  [(0, 5), (1, 5), (2, 2), (10, 10), (20, 20), (21, 5), (1000, 5)],
)
def test_labelled_grid_has_a_column_per_class(num_classes, expected):
  out = pictures.labelled_grid(tiles(20, 56, 56), num_classes)
  assert columns_and_rows(out, 56) == (expected, 20 // expected)


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


FIRST, SECOND = zip(*[names for _, names in curves._PANELS], strict=True)


def rows_of(names, count=40):
  return [
    {
      'step': 10 * i,
      **{name: math.sin(i / 3 + sum(map(ord, name))) for name in names},
    }
    for i in range(1, count + 1)
  ]


def ink(workdir, rows):
  """Draws the rows; returns [2, 4] numbers of pixels, blue and orange, of
  the four panels.
  """
  workdir.mkdir()
  (workdir / 'metrics.jsonl').write_text(
    ''.join(f'{json.dumps(row)}\n' for row in rows)
  )
  curves.plot_losses(workdir)
  assert files(workdir) == ['losses.png', 'metrics.jsonl']
  with Image.open(workdir / 'losses.png') as image:
    assert image.size == (1210, 770)
    pixels = np.asarray(image.convert('RGB')).astype(int)
  panels = pixels.reshape(2, 385, 2, 605, 3).swapaxes(1, 2).reshape(4, -1, 3)
  return np.stack(
    [
      (abs(panels - colour).max(axis=2) < 8).sum(axis=1)
      for colour in ((31, 119, 180), (255, 127, 14))
    ]
  )


def test_plot_losses_draws_both_curves_of_every_panel(tmp_path):
  assert len({*FIRST, *SECOND}) == 8
  legends = ink(tmp_path / 'none', rows_of(()))
  for colour, names in enumerate((FIRST, SECOND)):
    drawn = ink(tmp_path / names[0], rows_of(names)) - legends
    # A curve takes hundreds of pixels of its panel.
    assert drawn[colour].min() > 300
    assert abs(drawn[1 - colour]).max() < 30


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
  assert drawn.min() > 50  # the legends


@pytest.mark.parametrize('text', [None, '', '{"step": 1, "disc_l'])
def test_plot_losses_without_rows_does_nothing(text, tmp_path):
  if text is not None:
    (tmp_path / 'metrics.jsonl').write_text(text)
  curves.plot_losses(tmp_path)
  assert files(tmp_path) == ([] if text is None else ['metrics.jsonl'])
