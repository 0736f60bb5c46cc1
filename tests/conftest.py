"""Four simulated CPU devices, and the embedded dataset prepared once."""

import os
import pathlib

# Before JAX starts its backend: more threads than devices, else queued steps
# can wait for each other on a small machine.
os.environ.setdefault('NPROC', '8')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Weights, classifiers and statistics of tests stay apart from the user's.
os.environ['XDG_CACHE_HOME'] = str(
  pathlib.Path(__file__).parent.parent / '.pytest_cache' / 'home'
)

import jax
import pytest

jax.config.update('jax_num_cpu_devices', 4)
# Many tests compile the same programs.
jax.config.update('jax_compilation_cache_dir', '.pytest_cache/xla')
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def pytest_configure(config):
  """Prepares `digits` before any worker could race another to it."""
  if not hasattr(config, 'workerinput'):
    from gan_jax.data import load_dataset

    load_dataset('digits')


@pytest.fixture(scope='session')
def digits():
  """The embedded dataset."""
  from gan_jax.data import load_dataset

  return load_dataset('digits')
