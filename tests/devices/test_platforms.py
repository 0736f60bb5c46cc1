"""Devices that are asked for and not there."""

import jax
import pytest

from gan_jax.devices import platforms
from gan_jax.types import InputError


@pytest.mark.parametrize(
  ('error', 'end'),
  [
    (
      RuntimeError(
        "Unable to initialize backend 'tpu': no libtpu.so (set JAX_PLATFORMS="
        "'' to automatically choose an available backend)"
      ),
      ' (no libtpu.so)',
    ),
    (AssertionError(), ''),  # JAX skips CUDA where there is no such device
  ],
)
def test_a_platform_that_is_not_there_is_named(error, end, monkeypatch):
  def fail():
    raise error

  monkeypatch.setattr(jax, 'devices', fail)
  before = jax.config.jax_platforms
  try:
    for usual in ('', 'cpu'):  # nothing is opened
      jax.config.update('jax_platforms', usual)
      platforms.check()
    jax.config.update('jax_platforms', 'tpu')
    with pytest.raises(InputError) as caught:
      platforms.check()
  finally:
    jax.config.update('jax_platforms', before)
  assert str(caught.value) == (
    "JAX_PLATFORMS: 'tpu' cannot be had here, cpu can; unset it, or set "
    f'JAX_PLATFORMS=cpu{end}'
  )
