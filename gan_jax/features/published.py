"""Published networks as feature networks, by name."""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax

from gan_jax.features import inception, lpips, mobilenet, weights
from gan_jax.features.network import FeatureNetwork


class Published(NamedTuple):
  """A network whose weights are in a file that `eval.weights` names.

  Attributes:
    load: finds the file and reads it, see gan_jax/features/weights.py.
    sha256: of the file; '' for any.
    fetched: whether `load` can download it.
    apply: see `FeatureNetwork`.
    resize: likewise.
    compiler_options: of `jax.jit`, by platform.
    embed: see `FeatureNetwork`.
  """

  load: Callable[..., tuple[chex.ArrayTree, str]]
  sha256: str
  fetched: bool
  apply: Callable[..., Mapping[str, jax.Array]]
  resize: str
  compiler_options: Mapping[str, dict[str, Any]] = {}
  embed: Callable[..., jax.Array] | None = None


PUBLISHED = {
  'inception': Published(
    weights.load_inception,
    weights.SHA256,
    True,
    inception.apply,
    '299 x 299, bilinear as in TensorFlow 1',
    inception.COMPILER_OPTIONS,
  ),
  'mobilenet': Published(
    weights.load_mobilenet,
    weights.MOBILENET_SHA256,
    False,
    mobilenet.apply,
    mobilenet.RESIZE,
  ),
  'lpips': Published(
    weights.load_lpips,
    '',
    False,
    lpips.apply,
    lpips.RESIZE,
    embed=lpips.embed,
  ),
}


def published_network(
  name: str,
  path: str = '',
  *,
  sha256: str = '',
  download: bool = False,
  cache: pathlib.Path | None = None,
) -> FeatureNetwork:
  """A network from its published weight file.

  Args:
    name: of `PUBLISHED`.
    path: of the file; '' looks for it in the cache.
    sha256: of another file than the published one; '' for that.
    download: fetch it if it is not in the cache, where it can be.
    cache: folder of the file, and of converted weights; None for the user's.

  Raises:
    InputError: no file, another hash, or another shape.
  """
  found = PUBLISHED[name]
  fetch = {'download': download} if found.fetched else {}
  variables, digest = found.load(
    path, sha256=sha256 or found.sha256, cache_dir=cache, **fetch
  )
  return FeatureNetwork(
    name,
    found.apply,
    variables,
    digest,
    resize=found.resize,
    compiler_options=found.compiler_options.get(jax.default_backend()),
    embed=found.embed,
  )


inception_network = functools.partial(published_network, 'inception')
mobilenet_network = functools.partial(published_network, 'mobilenet')
