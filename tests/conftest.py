"""Four simulated CPU devices, and the embedded dataset prepared once."""

import gc
import importlib.metadata
import os
import pathlib

# Before JAX starts its backend: more threads than devices, else queued steps
# can wait for each other on a small machine.
os.environ.setdefault('NPROC', '8')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
# Programs run for milliseconds here and compile for seconds. XLA's older way of
# emitting code, unoptimised and in one piece, takes a quarter of the CPU time
# that the usual way does. What trains for longer asks for `optimised`.
QUICK = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
  'xla_cpu_parallel_codegen_split_count': 1,
}
_VERSION = importlib.metadata.version('jaxlib').split('.')
if (int(_VERSION[0]), int(_VERSION[1])) < (0, 11):  # later ones have no choice
  QUICK['xla_cpu_use_fusion_emitters'] = False
os.environ['XLA_FLAGS'] = ' '.join(
  [os.environ.get('XLA_FLAGS', '')]
  + [f'--{name}={str(value).lower()}' for name, value in QUICK.items()]
)
# Weights, classifiers and statistics of tests stay apart from the user's.
KEPT = pathlib.Path(__file__).parent.parent / '.pytest_cache'
os.environ['XDG_CACHE_HOME'] = str(KEPT / 'home')

import jax
import pytest
from PIL import Image

from tests import quick

jax.config.update('jax_num_cpu_devices', 4)
# Nobody reads where in a test an operation comes from.
jax.config.update('jax_traceback_in_locations_limit', 0)
# Many tests compile the same programs.
jax.config.update('jax_compilation_cache_dir', str(KEPT / 'xla'))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
quick.install()


def pytest_configure(config):
  """Prepares `digits` before any worker could race another to it."""
  if not hasattr(config, 'workerinput'):
    from gan_jax.data import load_dataset

    load_dataset('digits')


def pytest_collection_finish():
  """Cycles are not searched for: it takes a fifth of the time, frees little."""
  gc.collect()
  gc.freeze()
  gc.disable()


# Rooms and files whose tests train, compile much or start processes.
WHOLE = set(
  'benchmarks diagnosis experiments modes process storage training'.split()
)
WHOLE_FILES = {
  f'test_{name}.py'
  for name in (
    *('ensemble', 'extending', 'configs', 'fuzz', 'fuzz_workdir'),
    *('classifier', 'convolution', 'fast_layers', 'mixture', 'games'),
    *('inception', 'inception_blocks', 'micro_batch', 'minibatch_layers'),
    *('precision', 'solver_algorithms', 'tricks', 'tricks_runs', 'weights'),
    *('networks', 'neighbours', 'comparison', 'f_divergences', 'divergences'),
    *('biggan', 'heads', 'conditions', 'layers', 'autoencoder'),
  )
}


def pytest_collection_modifyitems(items):
  """Marks what `make test-quick` leaves out."""
  for item in items:
    if item.path.parent.name in WHOLE or item.path.name in WHOLE_FILES:
      item.add_marker('whole')


PROC = pathlib.Path('/proc/self')


@pytest.fixture(autouse=True)
def little_memory():
  """Forgets compiled programs once they fill the memory."""
  yield
  if PROC.exists() and resident() > AFTER_CLEARING[0] + 3 * 2**30:
    forget()


@pytest.fixture(scope='module', autouse=True)
def few_programs():
  """Forgets compiled programs once there are many.

  Each takes several mappings of memory, and Linux gives a process 65,530 of
  them: beyond that XLA ends the process.
  """
  yield
  if PROC.exists() and (PROC / 'maps').read_bytes().count(b'\n') > 25_000:
    forget()
  gc.freeze()  # our code and libraries collect now and then: not through all


def forget():
  """Drops compiled programs, and what only cycles kept alive."""
  jax.clear_caches()
  gc.unfreeze()
  gc.collect()
  gc.freeze()
  AFTER_CLEARING[0] = resident()


AFTER_CLEARING = [0]  # bytes in memory


def resident():
  """Bytes of this process in memory."""
  pages = (PROC / 'statm').read_text().split()[1]
  return int(pages) * os.sysconf('SC_PAGE_SIZE')


@pytest.fixture(scope='module', autouse=True)
def few_figures(request):
  """Plots are one pixel but in the tests that look at them.

  To render one takes as long as a dozen steps of a tiny run.
  """
  if request.path.parent.name in ('reporting', 'experiments'):
    yield
    return

  def save(figure, path, **keys):
    Image.new('L', (1, 1)).save(path, 'png')

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr('matplotlib.figure.Figure.savefig', save)
    yield


@pytest.fixture(scope='session')
def digits():
  """The embedded dataset."""
  from gan_jax.data import load_dataset

  return load_dataset('digits')


@pytest.fixture
def optimised(monkeypatch):
  """Dispatches are compiled as for users: worth it for a thousand steps."""
  from gan_jax.devices import compiling

  usual = {int: 3, bool: False}
  options = {name: usual[type(value)] for name, value in QUICK.items()}
  if 'xla_cpu_use_fusion_emitters' in QUICK:
    options['xla_cpu_use_fusion_emitters'] = True
  options = compiling.COMPILER_OPTIONS['cpu'] | options
  monkeypatch.setitem(compiling.COMPILER_OPTIONS, 'cpu', options)
