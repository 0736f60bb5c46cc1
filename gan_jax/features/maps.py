"""Maps of fixed networks, for losses: what an image is to one that sees.

Perceptual losses and style transfer take these by the names of their layers;
images go in at their own size, whatever size the network was trained at.
"""

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.features import lpips, mobilenet
from gan_jax.features.weights import load_lpips, load_mobilenet
from gan_jax.networks import convolution
from gan_jax.storage.cache import load_arrays
from gan_jax.types import InputError, lookup


class Maps(NamedTuple):
  """A fixed network as a source of maps.

  Attributes:
    name: of the network, with what it was read from.
    layers: names of its layers, the deepest last.
    apply: (images `[B, H, W, C]` in [-1, 1], names) -> a map `[B, h, w, c]`
      for each name, in the order of the network.
    smallest: pixels of the smallest side that it takes.
    distance: (images, images) -> `[B]`, the network's own; None without one.
  """

  name: str
  layers: tuple[str, ...]
  apply: Callable[[jax.Array, Sequence[str]], list[jax.Array]]
  smallest: int = 1
  distance: Callable[[jax.Array, jax.Array], jax.Array] | None = None

  def check(self, layer: str, key: str) -> None:
    """Raises InputError for the name of a layer that there is not."""
    if layer not in self.layers:
      raise InputError(
        f'{key}: {self.name} has no layer {layer!r}; it has '
        f'{", ".join(self.layers)}'
      )


def _of_lpips(path: str) -> Maps:
  variables, _ = load_lpips(path)
  names = lpips.layer_names(variables)
  both = [
    name for relu in names for name in (relu.replace('relu', 'conv'), relu)
  ]
  return Maps(
    'AlexNet' if len(names) == 5 else 'VGG-16',
    tuple(both),
    functools.partial(lpips.maps, variables),
    lpips.SMALLEST,
    functools.partial(lpips.lpips, variables),
  )


def _of_mobilenet(path: str) -> Maps:
  variables, _ = load_mobilenet(path)
  names = tuple(f'block{i}' for i in range(mobilenet.NUM_BLOCKS + 1))

  def apply(x, wanted):
    x = jnp.broadcast_to(x, (*x.shape[:-1], 3))
    numbers = sorted(names.index(name) for name in wanted)
    found = mobilenet.maps(variables, x, numbers[-1])
    return [found[number] for number in numbers]

  return Maps('MobileNet', names, apply, 32)


_CLASSIFIER = tuple(f'relu{i}' for i in range(1, 5))


def _of_classifier(path: str) -> Maps:
  """The classifier of some data, by the file that the cache keeps of it."""
  arrays = path and load_arrays(pathlib.Path(path).expanduser())
  try:
    convs = [
      {part: arrays[f"['params']['Conv_{i}']['{part}']"] for part in _PARTS}
      for i in range(len(_CLASSIFIER))
    ]
  except (TypeError, KeyError) as error:
    raise InputError(
      f'eval.weights: {path or "no file"} is not a classifier of this project; '
      'name one of ~/.cache/gan_jax/classifiers, which evaluating a labelled '
      'run makes'
    ) from error

  def apply(x, wanted):
    return _classified(convs, x, wanted)

  return Maps('the classifier', _CLASSIFIER, apply, 4)


_PARTS = ('kernel', 'bias')


def _classified(
  convs: Sequence[chex.ArrayTree], x: jax.Array, wanted: Sequence[str]
) -> list[jax.Array]:
  """Maps of the classifier, see gan_jax.features.classifier_training."""
  found, channels = [], convs[0]['kernel'].shape[2]
  x = jnp.broadcast_to(x, (*x.shape[:-1], channels))
  for name, conv, stride in zip(_CLASSIFIER, convs, (1, 2, 1, 2), strict=True):
    x = convolution.conv_general_dilated(
      x,
      jnp.asarray(conv['kernel']),
      (stride, stride),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    x = jax.nn.relu(x + conv['bias'])
    if name in wanted:
      found.append(x)
  return found


_NETWORKS = {
  'lpips': _of_lpips,
  'mobilenet': _of_mobilenet,
  'classifier': _of_classifier,
}
NETWORKS = tuple(_NETWORKS)


def load(network: str, weights: str, prefix: str = 'perceptual.') -> Maps:
  """A network by name; a file is read once for each of its versions.

  Args:
    network: one of `NETWORKS`.
    weights: path of its file; of mobilenet '' for the one in the cache.
    prefix: of the keys `network` and `weights`, for messages.

  Raises:
    InputError: an unknown name; the file is missing, or of another network.
  """
  lookup(_NETWORKS, network, f'{prefix}network')
  try:
    changed = pathlib.Path(weights).expanduser().stat().st_mtime_ns
  except (OSError, RuntimeError):
    changed = 0
  try:
    return _load(network, weights, changed)
  except InputError as error:
    raise InputError(str(error).replace('eval.', prefix)) from error


@functools.lru_cache(maxsize=4)
def _load(network: str, weights: str, changed: int) -> Maps:
  del changed
  return _NETWORKS[network](weights)


DISTANCES = ('l2', 'l1', 'lpips')


def make_distance(
  maps: Maps, layer: str, kind: str, prefix: str = 'perceptual.'
) -> Callable[[jax.Array, jax.Array], jax.Array]:
  """How far apart images are to a network: (images, images) -> scalar.

  Args:
    maps: of the network.
    layer: whose map is compared; '' for the deepest.
    kind: l2, the mean square of differences; l1, of their absolute value; or
      lpips, the network's own distance.
    prefix: of the keys `layer` and `distance`, for messages.

  Raises:
    InputError: an unknown name, a layer that there is not, or lpips of a
      network that has no such distance.

  Reference:
    Johnson et al., Perceptual Losses for Real-Time Style Transfer and
    Super-Resolution, arXiv 1603.08155, eq. 2.
  """
  lookup(dict.fromkeys(DISTANCES), kind, f'{prefix}distance')
  if kind == 'lpips':
    if maps.distance is None:
      raise InputError(
        f'{prefix}distance: lpips is of network=lpips, not of {maps.name}; '
        'take l2 or l1'
      )
    if layer:
      raise InputError(
        f'{prefix}layer: {layer} is one of the five that lpips compares; '
        f'leave it out, or set {prefix}distance=l2'
      )
    return lambda x, y: jnp.mean(maps.distance(x, y))
  layer = layer or maps.layers[-1]
  maps.check(layer, f'{prefix}layer')
  power = jnp.abs if kind == 'l1' else jnp.square

  def distance(x, y):
    (one,), (other,) = maps.apply(x, [layer]), maps.apply(y, [layer])
    return jnp.mean(power(one - other))

  return distance
