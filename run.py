"""gan_jax: train, resume, sample and score GANs.

  python run.py                                  # digits, under a minute
  python run.py --config=configs/dcgan_cifar.py  # another result
  python run.py --config.loss=wasserstein        # another loss
  python run.py --mode=sample --workdir=runs/mlp_digits

The same command resumes a run where it stopped. Keys: configs/base.py.
Config files are Python and are executed: run only those you trust.
"""

import importlib
import pathlib
import re
import sys
import time

from absl import flags, logging
from ml_collections import config_flags

from configs import base
from gan_jax.config import overrides
from gan_jax.modes import MODES
from gan_jax.process.exits import fail, one_line

STARTED = time.monotonic()
CONFIGS = pathlib.Path(base.__file__).parent
FLAGS = flags.FLAGS

config_flags.DEFINE_config_file(
  'config', None, 'FILE[:ARG], or NAME[:ARG] of configs/; default: mlp_digits.'
)
flags.DEFINE_string('workdir', None, 'Folder of the run; default: in runs/.')
flags.DEFINE_enum('mode', 'train', MODES, 'What to do.')
flags.DEFINE_string('coordinator', None, 'Several processes: HOST:PORT, auto.')
flags.DEFINE_integer('num_processes', None, 'How many there are.')
flags.DEFINE_integer('process_id', None, 'Number of this one, from 0 on.')


def parse_flags() -> tuple[str, list[str]]:
  """Parses sys.argv, or says in one line what is wrong; FILE[:ARG], runs."""
  if {'--help', '-help', '-h'} & set(sys.argv):
    print(__doc__ + FLAGS.module_help(FLAGS.find_module_defining_flag('mode')))
    sys.exit(0)
  sys.argv[1:] = overrides.with_config_file(sys.argv[1:], CONFIGS)
  try:
    stray = FLAGS(sys.argv)[1:]
    path = config_flags.get_config_filename(FLAGS['config'])
    FLAGS.config.lock()  # fails if the file could not be loaded
  except flags.IllegalFlagValueError as error:
    # A ValueError of a config file brings its traceback; keep its end.
    fail(re.sub(r'Error whilst.*\n(?=.)', '', str(error).strip(), flags=re.S))
  except flags.Error as error:
    fail(f'{error}; flags: --config, --config.KEY, --workdir, --mode, --help')
  except OSError:
    known = ', '.join(sorted(file.stem for file in CONFIGS.glob('[a-z]*.py')))
    fail(f'config: cannot load {path}; valid: a path, or one of {known}')
  except Exception as error:  # an unknown key, or whatever a config raises
    problem = overrides.unknown_key(base.get_config(), sys.argv)
    fail(problem or f'config: {type(error).__name__}: {error}')
  if stray and FLAGS.mode != 'compare':
    fail(f'unexpected argument {stray[0]!r}; write --config.KEY=VALUE')
  return path, stray


def main() -> None:
  """Parses flags and runs."""
  given = parse_flags()
  logging.set_verbosity(logging.FATAL)  # what libraries say, we say ourselves
  with one_line(FLAGS.mode):
    run(*given)


def run(config_file: str, runs: list[str]) -> object:
  """Joins other processes, if there are any, and does what --mode says."""
  from gan_jax.devices import parallel
  from gan_jax.process import hosts
  from gan_jax.workdir import layout

  mode = FLAGS.mode
  if FLAGS.coordinator and mode != 'train':
    fail(f'--coordinator: --mode={mode} is for one process; leave it out')
  hosts.enter(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
  parallel.enable_compilation_cache()
  changed = config_flags.get_override_values(FLAGS['config'])
  original = FLAGS['config'].parser.parse(config_file)
  overrides.forget_replaced(FLAGS.config, base.get_config(), original, changed)
  path = FLAGS.workdir or overrides.default_workdir(config_file, changed)
  do = getattr(importlib.import_module(f'gan_jax.modes.{mode}'), mode)
  if mode == 'train':
    return do(FLAGS.config, path, started=STARTED)
  if mode == 'compare':
    return do(runs, FLAGS.workdir or 'runs/comparison')
  layout.check_overrides(path, changed)
  return do(FLAGS.config, path)


if __name__ == '__main__':
  main()
