"""Random configs, images and weight files: a line, or it works.

Nothing but InputError may come out, in one line, in bounded time. The fast part
draws the same examples every time; the slow one draws more of them, anew.
"""

import contextlib
import io
import pathlib
import tempfile
import time

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st
from ml_collections import ConfigDict
from PIL import Image

from configs import base
from gan_jax.config import build
from gan_jax.data import load_dataset
from gan_jax.features.torch_file import read_state_dict
from gan_jax.types import InputError
from tests.helpers import fake_info, slow, tiny_digits
from tests.peers import legacy_file, tensor, zip_file

_CHECKS = [
  hypothesis.HealthCheck.too_slow,
  hypothesis.HealthCheck.data_too_large,
]
_CHECKS.append(hypothesis.HealthCheck.function_scoped_fixture)


def fuzz(given, fast, thorough):
  """A test of examples of a strategy: some every time, more in slow tests."""

  def decorate(check):
    shared = dict(deadline=None, database=None, suppress_health_check=_CHECKS)

    @pytest.mark.parametrize('num', [fast, slow(thorough)])
    def test(num, request):
      @hypothesis.settings(
        max_examples=num, derandomize=num == fast, print_blob=True, **shared
      )
      @hypothesis.given(given)
      def run(example):
        check(example, request)

      run()

    return test

  return decorate


def bounded(action, seconds=20.0):
  """Runs what may be refused; returns the message, None if it worked.

  Seconds are of this thread's own work: the machine may be busy.
  """
  start, message = time.thread_time(), None
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      action()
  except InputError as error:
    message = str(error)
    assert message.strip()
    assert '\n' not in message, message
  assert time.thread_time() - start < seconds
  return message


# --- Configs ------------------------------------------------------------------

INTEGERS = (0, -1, 1, 2, 3, 7, 10**5, 10**9, 2**31, 2**63, 10**12)
FLOATS = (0.0, -1.0, 1e-300, 0.5, 1.0, 1e300, np.inf, -np.inf, np.nan)
TEXTS = ('', 'none', '\0', '../..', 'é', 'dcgan', 'conv', 'mlp_bn')
TEXTS += ('wgan_gp_resnet', 'hinge', 'wasserstein', 'f_gan', 'wgan_gp', 'r1')
TEXTS += ('unrolled', 'extragradient', 'consensus', 'two_time_scale')
TEXTS += ('virtual', 'batch', 'spectral', 'ada', 'diffaugment', 'stddev')
TEXTS += ('conditional', 'instance', 'group', 'adain', 'equalised')
TEXTS += ('discrimination', 'average', 'cosine', 'sgd', 'rmsprop', 'best')
TUPLES = ((), (0,), (8,), (10**9,), (-1,), (8,) * 200, (2.5,), ('a',), ((8,),))
TUPLES += ((1e-4, 1e-3), (np.nan,), (2**16,) * 3, ('translation',))
EXTREMES = {
  int: INTEGERS,
  float: (*FLOATS, 3),
  bool: (True, False),
  str: TEXTS,
  tuple: TUPLES,
  object: (*INTEGERS, *TEXTS),
}


def typed_keys(config, prefix=''):
  """(dotted key, type) of every key of a config."""
  for name in config:
    if isinstance(config[name], ConfigDict):
      yield from typed_keys(config[name], f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', config.get_type(name)


KEYS = dict(typed_keys(base.get_config()))


def build_with(overrides, shape=(8, 8, 1)):
  """Everything up to the shapes of the state; nothing is allocated."""
  config = tiny_digits()
  config.update_from_flattened_dict(overrides)
  model = build.build(config, fake_info(shape))
  jax.eval_shape(model.init, jax.random.key(0))


def test_every_key_has_a_type_that_is_fuzzed():
  assert set(KEYS.values()) <= set(EXTREMES)
  assert len(KEYS) > 100


@pytest.mark.slow
def test_every_key_with_every_extreme():
  for key, kind in KEYS.items():
    for value in EXTREMES[kind]:
      bounded(lambda key=key, value=value: build_with({key: value}))


def one_override(key):
  return st.tuples(st.just(key), st.sampled_from(EXTREMES[KEYS[key]]))


overrides = st.lists(
  st.sampled_from(sorted(KEYS)).flatmap(one_override), min_size=1, max_size=5
).map(dict)
shapes = st.sampled_from([(8, 8, 1), (32, 32, 3), (28, 28, 1), (8192, 8192, 3)])


@fuzz(st.tuples(overrides, shapes), fast=150, thorough=2500)
def test_random_configs(example, request):
  bounded(lambda: build_with(*example))


ABSURD = {
  'latent_dim': 10**12,
  'network.gen_widths': (10**9,),
  'network.disc_widths': (8,) * 1000,
  'network.disc_maxout': 10**6,
  'num_steps': 2**63,
  'disc_steps': 10**9,
  'num_seeds': 10**9,
  'tricks.num_discs': 10**6,
  'steps_per_dispatch': 10**9,
  'sweep.gen_learning_rate': (np.nan,),
}


@pytest.mark.parametrize('key', ABSURD)
def test_absurd_numbers_are_refused_by_name(key):
  message = bounded(lambda: build_with({key: ABSURD[key]}), seconds=2.0)
  assert message is not None
  assert key in message


@pytest.mark.parametrize(
  'overrides',
  [
    {'network.gen_widths': (2**16,) * 3},
    {'latent_dim': 2**16, 'network.gen_widths': (2**16,) * 90},
    {'tricks.packing': 2**20, 'batch_size': 2**20},
  ],
  ids=str,
)
def test_states_beyond_the_memory_are_refused(overrides):
  message = bounded(lambda: build_with(overrides, (32, 32, 3)), seconds=5.0)
  assert 'GiB' in message


@pytest.mark.parametrize('widths', [((8,),), (True, 2.5), ('a',), (8, 0)])
def test_widths_that_are_no_numbers(widths):
  for key in ('network.gen_widths', 'network.disc_widths'):
    assert key in bounded(lambda key=key: build_with({key: widths}))


def test_shapes_of_data_that_cannot_be():
  for shape in [
    (10**9, 10**9, 3),
    (1e9, 1e9, 3),
    (-8, 8, 1),
    (8, 8),
    (8, 8, 2),
  ]:
    with pytest.raises(InputError, match='image_shape'):
      build.build(tiny_digits(), fake_info(shape))


# --- Files --------------------------------------------------------------------

extremes = st.sampled_from([b'\0' * 4, b'\xff' * 4, b'\x7f\xff\xff\xff'])
edits = st.lists(
  st.tuples(
    st.sampled_from(['flip', 'cut', 'insert', 'overwrite', 'splice']),
    st.floats(0, 1),
    st.floats(0, 1),
    st.one_of(extremes, st.binary(min_size=1, max_size=8)),
  ),
  max_size=4,
)


def edited(data, changes):
  """Bytes with some of them changed."""
  for kind, where, other, new in changes:
    at, to = (int(share * len(data)) for share in (where, other))
    match kind:
      case 'flip' if at < len(data):
        bit = bytes([data[at] ^ (1 << new[0] % 8)])
        data = data[:at] + bit + data[at + 1 :]
      case 'cut':
        data = data[:at]
      case 'insert':
        data = data[:at] + new + data[at:]
      case 'overwrite':
        data = data[:at] + new + data[at + len(new) :]
      case 'splice':
        data = data[:at] + data[to:]
  return data


def pictures():
  noise = np.random.default_rng(0).integers(0, 256, (12, 9, 4), np.uint8)
  images = {
    'grey': noise[..., 0],
    'RGB': noise[..., :3],
    'RGBA': noise,
    '16 bits': noise[..., 0].astype(np.uint16) * 257,
  }
  exif = Image.Exif()
  exif[0x0112] = 6
  for array in images.values():
    yield from encoded(Image.fromarray(array), ['PNG'], exif=exif)
  yield from encoded(Image.fromarray(noise[..., :3]).quantize(8), ['PNG'])
  for name in ('grey', 'RGB'):
    for progressive in (False, True):
      yield from encoded(
        Image.fromarray(images[name]),
        ['JPEG'],
        exif=exif,
        progressive=progressive,
      )


def encoded(image, formats, **options):
  for name in formats:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    yield stream.getvalue()


@fuzz(
  st.tuples(st.sampled_from([*pictures()]), edits), fast=500, thorough=10_000
)
@pytest.mark.filterwarnings('ignore')
def test_images(example, request):
  data, changes = example
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for i in range(2):
      (folder / f'{i}.png').write_bytes(edited(data, changes))

    def read():
      dataset = load_dataset(
        'folder', dir=name, image_size=8, decoded_cache=False
      )
      arrays = dataset.train.whole()
      assert arrays['images'].shape[:3] == (1, 8, 8)

    bounded(read)


def weight_files():
  value = {
    'a': tensor('x', 6, 0, (2, 3), (3, 1)),
    'b': tensor('y', 2, 1, (), (), 'LongStorage'),
  }
  arrays = {'x': np.arange(6, dtype='<f4'), 'y': np.array([1, 2], '<i8')}
  return [zip_file(value, arrays), legacy_file(value, arrays)]


@fuzz(
  st.tuples(st.sampled_from(weight_files()), edits), fast=500, thorough=15_000
)
def test_weight_files(example, request):
  with tempfile.TemporaryDirectory() as name:
    path = pathlib.Path(name) / 'weights.pth'
    path.write_bytes(edited(*example))
    bounded(lambda: read_state_dict(path), seconds=2.0)
