"""Four simulated CPU devices, and the embedded dataset prepared once."""

import gc
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


@pytest.fixture(scope='module', autouse=True)
def few_programs():
  """Forgets compiled programs once there are many.

  Each takes several mappings of memory, and Linux gives a process 65,530 of
  them: beyond that XLA ends the process.
  """
  yield
  maps = pathlib.Path('/proc/self/maps')
  if maps.exists() and maps.read_bytes().count(b'\n') > 25_000:
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope='session')
def digits():
  """The embedded dataset."""
  from gan_jax.data import load_dataset

  return load_dataset('digits')
