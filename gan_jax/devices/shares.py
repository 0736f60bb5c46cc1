"""How a batch is divided: over devices, and into micro-batches."""

from gan_jax.types import InputError


def check_micro_batch(micro_batch: int, share: int) -> None:
  """Raises InputError unless micro-batches divide a device's share."""
  if micro_batch < 0:
    raise InputError(f'micro_batch: {micro_batch} is not at least 0')
  if micro_batch and share % micro_batch:
    near = [n for n in range(1, share + 1) if share % n == 0]
    near.sort(key=lambda n: abs(n - micro_batch))
    raise InputError(
      f'micro_batch: {micro_batch} does not divide the {share} images that a '
      f'device has of each batch; take {near[0]} or {near[1]}, or 0 for all'
      if len(near) > 1
      else f'micro_batch: {micro_batch} is more than the 1 image that a device '
      'has of each batch; take 0'
    )


def check_batch_size(batch_size: int, num_devices: int) -> None:
  """Raises InputError unless the devices share the batch equally."""
  if batch_size % num_devices:
    down = batch_size - batch_size % num_devices
    near = [n for n in (down, down + num_devices) if n]
    raise InputError(
      f'batch_size: {batch_size} does not divide over {num_devices} devices; '
      f'take {" or ".join(map(str, near))}, or set num_devices'
    )
