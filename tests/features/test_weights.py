"""Finding, checking, converting and keeping weight files."""

import functools
import hashlib
import http.server
import pathlib
import threading

import jax
import numpy as np
import pytest

from gan_jax.features import inception, weights
from gan_jax.features.weights import FILE_NAME, load_inception
from gan_jax.types import InputError
from tests.peers import legacy_file, tensor


@pytest.fixture(scope='module')
def state():
  return inception.random_state(3)


@pytest.fixture(scope='module')
def source(state, tmp_path_factory):
  """A weight file in the format of the published one."""
  path = tmp_path_factory.mktemp('weights') / 'net.pth'
  value = {
    name: tensor(name, x.size, 0, x.shape, tuple(n // 4 for n in x.strides))
    for name, x in state.items()
  }
  path.write_bytes(legacy_file(value, state))
  yield path
  path.unlink()


@pytest.fixture(scope='module')
def digest(source):
  return hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.fixture
def small(tmp_path):
  """A file that is no network, and its hash."""
  path = tmp_path / 'small.pth'
  path.write_bytes(b'nothing')
  return path, hashlib.sha256(b'nothing').hexdigest()


def refused(*args, **kwargs):
  with pytest.raises(InputError) as caught:
    load_inception(*args, **kwargs)
  message = str(caught.value)
  assert '\n' not in message
  return message


def check_same(found, expected):
  jax.tree.map(
    functools.partial(np.testing.assert_array_equal, strict=True),
    found,
    expected,
  )


def test_hash_is_of_the_published_file():
  assert len(weights.SHA256) == 64
  # The published name carries the hash's first 8 digits.
  assert weights.SHA256[:8] in weights.URL
  assert weights.URL.endswith(FILE_NAME)


@pytest.mark.slow
@pytest.mark.parametrize('damage', ['flipped', 'cut', 'empty'])
def test_cache_equals_fresh(
  source, digest, state, tmp_path, monkeypatch, damage
):
  """Read once; then from the cache, the same bits; made anew if damaged."""
  expected = inception.convert(state)
  load = functools.partial(
    load_inception, str(source), sha256=digest[:8].upper(), cache_dir=tmp_path
  )
  fresh, found = load()
  assert found == digest
  check_same(fresh, expected)
  (kept,) = tmp_path.iterdir()
  assert kept.name == f'inception-{digest[:16]}.npz'

  def unwanted(path):
    raise AssertionError(f'{path} was read again')

  with monkeypatch.context() as patch:
    patch.setattr(weights, 'read_state_dict', unwanted)
    cached, found = load()
  assert found == digest
  check_same(cached, expected)

  data = bytearray(kept.read_bytes())
  data[len(data) // 2] ^= 255
  left = {'flipped': len(data), 'cut': 1000, 'empty': 0}
  kept.write_bytes(data[: left[damage]])
  check_same(load()[0], expected)
  assert kept.stat().st_size == len(data)
  kept.unlink()


def test_cache_that_cannot_be_written(source, digest, state, tmp_path):
  occupied = tmp_path / 'cache'
  occupied.write_text('a file where a folder should be')
  found, _ = load_inception(str(source), sha256=digest, cache_dir=occupied)
  check_same(found, inception.convert(state))


def test_wrong_hash(small, tmp_path):
  path, found = small
  message = refused(str(path), cache_dir=tmp_path)
  for part in (str(path), found, weights.SHA256, 'eval.weights_sha256='):
    assert part in message


@pytest.mark.parametrize('sha256', ['', 'abc', '0' * 7, 'g' * 8, '0' * 65])
def test_no_hash(sha256, small, tmp_path):
  message = refused(str(small[0]), sha256=sha256, cache_dir=tmp_path)
  assert 'eval.weights_sha256' in message
  assert repr(sha256) in message


def test_file_that_is_no_network(small, tmp_path):
  """Accepted on purpose, and still not read as one."""
  path, found = small
  message = refused(str(path), sha256=found[:8], cache_dir=tmp_path)
  assert str(path) in message
  assert 'torch.save' in message


def test_missing_files(tmp_path):
  message = refused(str(tmp_path / 'no.pth'), cache_dir=tmp_path)
  assert 'no.pth' in message
  message = refused(cache_dir=tmp_path)
  for part in (tmp_path / FILE_NAME, weights.URL, 'eval.weights=PATH'):
    assert str(part) in message
  assert 'eval.network=classifier' in message
  assert not [*tmp_path.iterdir()]


def test_default_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert str(tmp_path / 'gan_jax' / FILE_NAME) in refused()


def test_published_file_in_the_cache(source, digest, state, tmp_path):
  (tmp_path / FILE_NAME).symlink_to(source)
  found, sha256 = load_inception(sha256=digest, cache_dir=tmp_path)
  assert sha256 == digest
  check_same(found, inception.convert(state))
  assert weights.SHA256 in refused(cache_dir=tmp_path)
  (tmp_path / f'inception-{digest[:16]}.npz').unlink()


class _Quiet(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *args):
    pass


@pytest.fixture
def server(source, monkeypatch):
  """Serves the file's folder on this machine."""
  monkeypatch.setenv('no_proxy', '*')
  handler = functools.partial(_Quiet, directory=source.parent)
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{running.server_port}'
    running.shutdown()
    thread.join()


def test_download(server, source, digest, state, tmp_path, monkeypatch, capfd):
  monkeypatch.setattr(weights, 'URL', f'{server}/{source.name}')
  load = functools.partial(load_inception, cache_dir=tmp_path, download=True)
  found, sha256 = load(sha256=digest)
  assert sha256 == digest
  assert FILE_NAME in capfd.readouterr().err  # the progress bar
  check_same(found, inception.convert(state))
  kept = tmp_path / FILE_NAME
  assert kept.read_bytes() == source.read_bytes()
  # The second time it is there.
  monkeypatch.setattr(weights, 'URL', f'{server}/nothing')
  load(sha256=digest)
  for path in tmp_path.iterdir():
    path.unlink()


def test_download_of_another_file(server, small, tmp_path, monkeypatch):
  path, found = small
  cache = tmp_path / 'cache'
  monkeypatch.setattr(weights, 'URL', path.as_uri())
  message = refused(cache_dir=cache, download=True)
  assert path.as_uri() in message
  assert found in message
  assert not [*cache.iterdir()]


def test_download_fails(server, tmp_path, monkeypatch):
  missing = pathlib.Path(tmp_path / 'missing').as_uri()
  for url in (f'{server}/nothing', missing, 'http://127.0.0.1:9/'):
    monkeypatch.setattr(weights, 'URL', url)
    message = refused(cache_dir=tmp_path, download=True)
    assert f'cannot download {url}' in message
    assert 'eval.weights=PATH' in message
    assert not [*tmp_path.iterdir()]


def test_weights_of_another_network_name_key_and_file(tmp_path, monkeypatch):
  path = tmp_path / 'other.pth'
  path.write_bytes(b'something')
  digest = hashlib.sha256(b'something').hexdigest()
  monkeypatch.setattr(weights, 'read_state_dict', lambda path: {})
  with pytest.raises(
    InputError, match=r'^eval.weights: Conv2d_1a_3x3.* nothing; .* in .*other'
  ):
    weights.load_inception(str(path), sha256=digest, cache_dir=tmp_path)
