"""What parallel.py promises beyond what training tests of it."""

from gan_jax.devices import parallel


def test_one_device_has_nothing_to_average_over():
  assert parallel.axis_name(parallel.select_devices(1)) is None
  assert parallel.axis_name(parallel.select_devices(2)) == parallel.AXIS
