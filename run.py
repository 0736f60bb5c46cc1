"""gan_jax: train, resume, sample and score GANs.

  python run.py                                  # digits, under a minute
  python run.py --config=configs/dcgan_cifar.py  # another result
  python run.py --config.loss=wasserstein        # another loss
  python run.py --mode=sample --workdir=runs/mlp_digits
  python run.py --helpkeys=eval                  # KEYs of --config.KEY=VALUE

The same command resumes a run where it stopped.
Config files and plugins are Python and are executed: run only those you trust.
"""

import importlib
import sys
import time

from absl import flags, logging
from ml_collections import config_flags

from configs import base
from gan_jax.config import key_help, overrides
from gan_jax.modes import MODES, TAKE_OUT
from gan_jax.process.command import folder
from gan_jax.process.exits import fail, one_line

STARTED = time.monotonic()
FLAGS = flags.FLAGS

config_flags.DEFINE_config_file(
  'config', None, 'FILE[:ARG], or NAME[:ARG] of configs/; default: mlp_digits.'
)
flags.DEFINE_string('workdir', None, 'Folder of the run; default: in runs/.')
flags.DEFINE_enum('mode', 'train', MODES, 'What to do, see above.')
flags.DEFINE_string('out', None, f'File or folder of {", ".join(TAKE_OUT)}.')
flags.DEFINE_list('plugin', [], 'FILE.py or MODULE with parts, or several.')
flags.DEFINE_string('coordinator', None, 'Several processes: HOST:PORT, auto.')
flags.DEFINE_integer('num_processes', None, 'How many there are.')
flags.DEFINE_integer('process_id', None, 'Number of this one, from 0 on.')
flags.DEFINE_enum('completion', None, ['bash', 'zsh'], 'To be sourced by it.')


def parse_flags() -> tuple[str, list[str]]:
  """Parses sys.argv, or says in one line what is wrong; FILE[:ARG], runs."""
  usage = FLAGS.module_help(FLAGS.find_module_defining_flag('mode'))
  key_help.answer(sys.argv[1:], (__doc__, usage), base, MODES)
  overrides.run_plugins(sys.argv[1:])
  path, sys.argv[1:] = overrides.config_file(sys.argv[1:], folder() / 'configs')
  try:
    stray = FLAGS(sys.argv)[1:]
    FLAGS.config.lock()  # fails if the file could not be loaded
  except flags.Error as error:
    line = overrides.in_words(error)
    fail(f'{line}; all flags: --help, all keys: --helpkeys')
  except OSError as error:
    fail(f'config: cannot load {path}: {error.__cause__ or error}')
  except Exception as error:  # an unknown key, or whatever a config raises
    problem = overrides.unknown_key(base.get_config(), sys.argv)
    fail(problem or f'config: {type(error).__name__}: {error}')
  if stray and FLAGS.mode != 'compare':
    fail(f'unexpected argument {stray[0]!r}; write --config.KEY=VALUE')
  if FLAGS.out and FLAGS.mode not in TAKE_OUT:
    fail(f'--out: not of --mode={FLAGS.mode}, but of {" and ".join(TAKE_OUT)}')
  return path, stray


def run(config_file: str, runs: list[str]) -> object:
  """Joins other processes, if there are any, and does what --mode says."""
  from gan_jax.devices import platforms
  from gan_jax.process import hosts, plugins
  from gan_jax.workdir import layout, origins

  mode = FLAGS.mode
  if FLAGS.coordinator and mode != 'train':
    fail(f'--coordinator: --mode={mode} is for one process; leave it out')
  hosts.enter(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
  platforms.start()
  plugins.run_config(config_file)
  changed = config_flags.get_override_values(FLAGS['config'])
  original = {key: FLAGS[f'config.{key}'].default for key in changed}
  overrides.forget_replaced(FLAGS.config, base.get_config(), original, changed)
  runs_in = 'runs/search' if mode == 'search' else 'runs'
  path = FLAGS.workdir or overrides.workdir(config_file, changed, runs_in)
  do = getattr(importlib.import_module(f'gan_jax.modes.{mode}'), mode)
  if mode in ('train', 'search'):
    return do(FLAGS.config, path, started=STARTED)
  if mode == 'compare':
    return do(runs, FLAGS.workdir or 'runs/comparison')
  with origins.recalled(path):
    layout.check_overrides(path, changed)
    return do(FLAGS.config, path, *[FLAGS.out] * (mode in TAKE_OUT))


if __name__ == '__main__':
  given = parse_flags()
  logging.set_verbosity(logging.FATAL)  # what libraries say, we say ourselves
  with one_line(FLAGS.mode):
    run(*given)
