"""What an evaluation measured and how: the record beside every score."""

from typing import Any

import jax

from gan_jax.features import FeatureNetwork
from gan_jax.process.environment import package_versions

# Two scores can be compared if these agree; the rest of a record may be what
# is compared (weights, truncation, batch norm, the run itself).
MEASURE = ('num_real', 'num_fake', 'split', 'data', 'image_shape', 'resize')
MEASURE += ('network', 'network_digest', 'real_digest')


def same_measure(a: dict[str, Any], b: dict[str, Any]) -> bool:
  """Whether two records of one run differ in the step alone."""
  fields = (*MEASURE, 'weights', 'batch_norm', 'truncation', 'psi', 'seed')
  fields += ('psi_cutoff', 'fake_labels', 'sampler', 'sampler_steps', 'eta')
  return all(a.get(field) == b.get(field) for field in fields)


def record(
  network: FeatureNetwork,
  *,
  num_real: int,
  num_fake: int,
  split: str,
  data: str,
  image_shape: tuple[int, int, int],
  real_digest: str,
  **fields: Any,
) -> dict[str, Any]:
  """The protocol of an evaluation, JSON.

  Args:
    network: of features.
    num_real: real images behind the statistics.
    num_fake: generated images.
    split: of the real images.
    data: name and version.
    image_shape: (H, W, C).
    real_digest: SHA-256 of the real images' pixels.
    **fields: of the run: step, weights, batch_norm, truncation, seed, and of
      a conditional one `fake_labels`, ...
  """
  return {
    **fields,
    'num_real': num_real,
    'num_fake': num_fake,
    'split': split,
    'data': data,
    'real_digest': real_digest,
    'image_shape': list(image_shape),
    'network': network.name,
    'network_digest': network.digest,
    'resize': network.resize,
    **network.notes,
    'device': jax.devices()[0].device_kind,
    'packages': package_versions(),
  }


def lines(record: dict[str, Any]) -> list[str]:
  """A record for the screen; digests shortened, packages left to the file."""
  shown = []
  for key, value in record.items():
    if key == 'packages':
      continue
    if key.endswith(('digest', 'training_data')):
      value = str(value)[:12]
    if isinstance(value, list):
      value = ' x '.join(map(str, value))
    elif isinstance(value, float):
      value = f'{value:.4g}'
    shown.append(f'{key} {value}')
  return shown
