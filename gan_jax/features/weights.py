"""Finds, checks and converts published weights of feature networks."""

import hashlib
import http.client
import os
import pathlib
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import BinaryIO

import chex

from gan_jax.features import inception, lpips, mobilenet
from gan_jax.features.torch_file import read_state_dict
from gan_jax.storage.cache import load_arrays, load_leaves, save_leaves
from gan_jax.storage.files import atomic
from gan_jax.storage.files import cache_dir as default_cache_dir
from gan_jax.types import InputError

SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
FILE_NAME = 'pt_inception-2015-12-05-6726825d.pth'
URL = (
  'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/'
  + FILE_NAME
)
MOBILENET_SHA256 = (
  'c81c0faeeb33d6c21c77af990e894c2f9b10ca1d80f1f21e76230ff63b7fbac3'
)
MOBILENET_FILE_NAME = 'mobilenet_v1_1.0_224_float.npz'
_CHUNK = 1 << 20  # bytes
_TIMEOUT = 60  # seconds without an answer


def _chunks(file: BinaryIO, digest: 'hashlib._Hash') -> Iterator[bytes]:
  while chunk := file.read(_CHUNK):
    digest.update(chunk)
    yield chunk


def _hash(path: pathlib.Path, wanted: str) -> str:
  """SHA-256 of a file; `wanted` says what to name if it cannot be read."""
  digest = hashlib.sha256()
  if os.path.exists(path) and not path.is_file():  # a pipe would be waited for
    raise InputError(f'eval.weights: {path} is no regular file; name {wanted}')
  try:
    with path.open('rb') as file:
      for _ in _chunks(file, digest):
        pass
  except OSError as error:
    raise InputError(
      f'eval.weights: cannot read {path}: {error.strerror}; name {wanted}'
    ) from error
  return digest.hexdigest()


def _expanded(path: str) -> pathlib.Path:
  try:
    return pathlib.Path(path).expanduser()
  except RuntimeError as error:  # of a user that is not there
    raise InputError(f'eval.weights: {path}: {error}') from error


def _check_hash(
  source: pathlib.Path | str, found: str, wanted: str, name: str = 'Inception'
) -> None:
  if not re.fullmatch('[0-9a-f]{8,64}', wanted):
    raise InputError(
      f'eval.weights_sha256: {wanted!r} is no SHA-256; at least its first 8 '
      'hexadecimal digits are wanted'
    )
  if not found.startswith(wanted):
    raise InputError(
      f'eval.weights: {source} has SHA-256 {found}, not {wanted} of {name}; it '
      'is damaged or another file; to accept it on purpose set '
      f'eval.weights_sha256={found[:16]}'
    )


def _fetch(target: pathlib.Path) -> str:
  """Downloads `URL` to a file and returns its SHA-256."""
  from tqdm import tqdm

  digest = hashlib.sha256()
  try:
    with (
      urllib.request.urlopen(URL, timeout=_TIMEOUT) as answer,
      target.open('wb') as file,
      tqdm(
        total=int(answer.headers.get('Content-Length') or 0) or None,
        desc=FILE_NAME,
        unit='B',
        unit_scale=True,
      ) as bar,
    ):
      for chunk in _chunks(answer, digest):
        bar.update(file.write(chunk))
  except (OSError, http.client.HTTPException) as error:
    if isinstance(error, urllib.error.HTTPError):
      error.close()
    raise InputError(
      f'eval.weights: cannot download {URL}: {" ".join(str(error).split())}; '
      f'fetch it otherwise and name it with eval.weights=PATH'
    ) from error
  return digest.hexdigest()


def _published(directory: pathlib.Path, sha256: str, download: bool):
  """Path of the published file in the cache, downloaded if that is allowed."""
  path = directory / FILE_NAME
  if os.path.exists(path):  # False also of a folder that may not be read
    return path
  if not download:
    raise InputError(
      f'eval.weights: {path} is missing; put {URL} there or anywhere and name '
      'it with eval.weights=PATH; eval.network=classifier needs no file'
    )
  with atomic(path) as temporary:
    _check_hash(URL, _fetch(temporary), sha256)
  return path


def load_inception(
  path: str = '',
  *,
  sha256: str = SHA256,
  cache_dir: pathlib.Path | None = None,
  download: bool = False,
) -> tuple[chex.ArrayTree, str]:
  """Variables of `inception.apply` from the published PyTorch file.

  The file is hashed each time, and unpickled only once: converted weights are
  kept in the cache under their hash.

  Args:
    path: the file; '' for the one in the cache.
    sha256: what the file's SHA-256 must be or begin with, 8 digits at least.
    cache_dir: where both are kept; None for the user's cache.
    download: without a path, fetch a missing file from `URL`.

  Returns:
    (variables, SHA-256 of the file).

  Raises:
    InputError: the file is missing, is another one, cannot be read or
      downloaded, or is not of this network.
  """
  directory = cache_dir or default_cache_dir()
  sha256 = sha256.lower()
  named = _expanded(path) if path else None
  source = named or _published(directory, sha256, download)
  found = _hash(source, f'the file from {URL}')
  _check_hash(source, found, sha256)
  kept = directory / f'inception-{found[:16]}.npz'
  loaded = load_leaves(kept, inception.abstract_variables())
  if loaded is not None:
    return loaded[0], found
  state = read_state_dict(source)
  try:
    variables = inception.convert(state)
  except InputError as error:
    raise InputError(f'eval.{error}, in {source}') from error
  save_leaves(kept, variables)
  return variables, found


def mobilenet_path(
  path: str = '', cache_dir: pathlib.Path | None = None
) -> pathlib.Path:
  """Where MobileNet's weights are looked for.

  Args:
    path: the file; '' for the one in the cache.
    cache_dir: None for the user's cache.

  Raises:
    InputError: the path names a user that is not there.
  """
  if path:
    return _expanded(path)
  return (cache_dir or default_cache_dir()) / MOBILENET_FILE_NAME


def load_mobilenet(
  path: str = '',
  *,
  sha256: str = MOBILENET_SHA256,
  cache_dir: pathlib.Path | None = None,
) -> tuple[chex.ArrayTree, str]:
  """Variables of `mobilenet.apply` from a .npz file.

  Args:
    path: see `mobilenet_path`.
    sha256: what the file's SHA-256 must be or begin with, 8 digits at least.
    cache_dir: see `mobilenet_path`.

  Returns:
    (variables, SHA-256 of the file).

  Raises:
    InputError: the file is missing, is another one, cannot be read, or is not
      of this network.
  """
  source = mobilenet_path(path, cache_dir)
  if not path and not os.path.exists(source):
    raise InputError(
      f'eval.weights: {source} is missing, and no address of it is known; put '
      'MobileNet v1 (1.0, 224) as .npz there, or name it with '
      'eval.weights=PATH; eval.network=classifier needs no file'
    )
  found = _hash(source, 'MobileNet v1 (1.0, 224) as .npz')
  _check_hash(source, found, sha256.lower(), 'MobileNet')
  arrays = load_arrays(source)
  if arrays is None:
    raise InputError(f'eval.weights: {source} is no .npz file of arrays')
  try:
    return mobilenet.convert(arrays), found
  except InputError as error:
    raise InputError(
      f'eval.weights: {source} is not MobileNet v1 (1.0, 224): {error}'
    ) from error


def load_lpips(
  path: str = '',
  *,
  sha256: str = '',
  cache_dir: pathlib.Path | None = None,
) -> tuple[chex.ArrayTree, str]:
  """Variables of `lpips.apply` from a .npz file.

  Args:
    path: the file, its arrays named as in `lpips.layout`.
    sha256: what the file's SHA-256 must be or begin with; '' for any.
    cache_dir: not read; there is no place of its own.

  Returns:
    (variables, SHA-256 of the file).

  Raises:
    InputError: the file is missing, is another one, cannot be read, or is not
      of this network.
  """
  del cache_dir
  wanted = 'the weights of LPIPS as .npz (docs/metrics.md says how)'
  if not path:
    raise InputError(
      f'eval.weights: LPIPS is read from a file; name {wanted}, with '
      'eval.weights=PATH'
    )
  source = _expanded(path)
  found = _hash(source, wanted)
  if sha256:
    _check_hash(source, found, sha256.lower(), 'LPIPS')
  arrays = load_arrays(source)
  if arrays is None:
    raise InputError(f'eval.weights: {source} is no .npz file; name {wanted}')
  try:
    return lpips.convert(arrays), found
  except InputError as error:
    raise InputError(f'eval.weights: {source} is not LPIPS: {error}') from error
