"""What turns images into features: `FeatureNetwork`, and running one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import numpy as np

from gan_jax.devices import parallel
from gan_jax.storage.cache import digest_arrays
from gan_jax.types import InputError

UNKNOWN = 'unknown'  # digest of a network that nothing identifies


class FeatureNetwork(NamedTuple):
  """A fixed network, and all that a score has to say of it.

  Attributes:
    name: appended to the names of scores, but for `inception`.
    apply: `(variables, images uint8 [B, H, W, C])` -> `{'features': [B, D]}`,
      and `'logits': [B, K]` if it classifies.
    variables: passed as the first argument.
    digest: SHA-256 of its weights, or what else identifies it.
    resize: what happens to the size of images, in words.
    channels: that it takes.
    classes: names of the classes behind the logits; empty if they are not
      those of the data.
    notes: for the protocol record, such as a classifier's accuracy.
    compiler_options: of `jax.jit`.
    embed: `(variables, images in [0, 255])` -> `[B, D]`, whose squared
      distances are those that the network was made for; None if it has none.
  """

  name: str
  apply: Callable[[chex.ArrayTree, jax.Array], Mapping[str, jax.Array]]
  variables: chex.ArrayTree
  digest: str
  resize: str = 'none'
  channels: tuple[int, ...] = (1, 3)
  classes: tuple[str, ...] = ()
  notes: dict[str, Any] = {}  # noqa: RUF012
  compiler_options: dict[str, Any] | None = None
  embed: Callable[[chex.ArrayTree, jax.Array], jax.Array] | None = None


def from_callable(
  function: Callable[[jax.Array], jax.Array],
  name: str,
  *,
  digest: str = UNKNOWN,
) -> FeatureNetwork:
  """A network from any JAX function: uint8 `[B, H, W, C]` -> `[B, D]`.

  Args:
    function: pure; it is compiled.
    name: scores are called fid_NAME and so on.
    digest: what identifies it in the protocol record, such as the hash of its
      weights. Without one, statistics of real images are not cached.

  Raises:
    InputError: it is called inception, whose scores have plain names.
  """
  if name == 'inception':
    raise InputError(
      'features: the name inception is kept for the FID Inception; take another'
    )
  return FeatureNetwork(
    name, lambda _, images: {'features': function(images)}, {}, digest
  )


class ImageSet(NamedTuple):
  """Images that can be read a few at a time.

  Attributes:
    num: how many.
    image_shape: (H, W, C).
    read: indices `[n]` -> uint8 `[n, H, W, C]`.
  """

  num: int
  image_shape: tuple[int, int, int]
  read: Callable[[np.ndarray], np.ndarray]


def image_set(images: np.ndarray) -> ImageSet:
  """An array as a set.

  Raises:
    InputError: it is not uint8 `[N, H, W, C]`, or holds NaN.
  """
  images = np.asarray(images)
  if images.dtype.kind == 'f' and not np.isfinite(images).all():
    raise InputError('images: NaN or infinite pixels; uint8 is wanted')
  if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
    raise InputError(
      f'images: {images.dtype} {images.shape}; uint8 [N, H, W, C] with N of at '
      'least 1 is wanted'
    )
  return ImageSet(len(images), images.shape[1:], images.__getitem__)


def check_channels(network: FeatureNetwork, image_shape: Sequence[int]) -> None:
  """Raises InputError if the network does not take such images."""
  if image_shape[-1] not in network.channels:
    takes = ' or '.join(map(str, network.channels))
    raise InputError(
      f'eval.network: {network.name} takes images of {takes} channels, and '
      f'these have {image_shape[-1]}'
    )


def extract(
  network: FeatureNetwork,
  images: ImageSet,
  *,
  devices: Sequence[jax.Device] | None = None,
  batch_size: int = 64,
  progress: str = '',
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
  """Runs a network over a set, batch by batch.

  Args:
    network: see `FeatureNetwork`.
    images: the set.
    devices: to share each batch among; None for the first one.
    batch_size: images at a time, over all devices; rounded up to a multiple
      of their number.
    progress: title of a progress bar with images/s; '' shows none.

  Yields:
    (images, outputs) of each batch: uint8 `[b, H, W, C]` and float arrays
    `[b, ...]` in host memory.

  Raises:
    InputError: wrong channels, or an output that is not finite.
  """
  from tqdm import tqdm

  check_channels(network, images.image_shape)
  devices = parallel.select_devices(1) if devices is None else devices
  size = -(-batch_size // len(devices)) * len(devices)
  function = parallel.share_batches(
    network.apply,
    network.variables,
    devices,
    compiler_options=network.compiler_options,
  )
  pending = None
  with tqdm(
    total=images.num, desc=progress, unit=' images', disable=not progress
  ) as bar:
    for start in range(0, images.num, size):
      batch = images.read(np.arange(start, min(start + size, images.num)))
      # One program for all batches: the last one is padded.
      padded = np.concatenate([batch, batch[:1].repeat(size - len(batch), 0)])
      outputs = function(padded)  # under way while the one before is used
      if pending is not None:
        yield _finish(network, *pending, bar)
      pending = start, batch, outputs
    if pending is not None:
      yield _finish(network, *pending, bar)


def _finish(network, start, batch, outputs, bar):
  """Brings a batch's outputs to the host and checks them."""
  arrays = {name: np.asarray(x)[: len(batch)] for name, x in outputs.items()}
  for name, array in arrays.items():
    if array.ndim != 2:
      raise InputError(
        f'{name}: network {network.name} gives {array.shape[1:]} for an image; '
        'a vector is wanted'
      )
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
      raise InputError(
        f'{name}: network {network.name} gives NaN or infinity for image '
        f'{start + int(np.argmax(bad))}'
      )
  bar.update(len(batch))
  return batch, arrays


def digest_variables(variables: chex.ArrayTree) -> str:
  """SHA-256 of a network's weights, with their names."""
  leaves = jax.tree_util.tree_leaves_with_path(variables)
  names = ';'.join(jax.tree_util.keystr(path) for path, _ in leaves)
  return digest_arrays(
    [np.frombuffer(names.encode(), np.uint8)]
    + [np.asarray(leaf) for _, leaf in leaves]
  )
