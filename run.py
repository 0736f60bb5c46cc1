"""gan_jax: train, resume, sample and score GANs.

  python run.py                                  # digits, under a minute
  python run.py --config=configs/dcgan_cifar.py  # another result
  python run.py --config.loss=wasserstein        # another loss
  python run.py --mode=sample --workdir=runs/mlp_digits
  python run.py --coordinator=HOST:PORT --num_processes=N --process_id=I

The same command resumes a run where it stopped. Keys: configs/base.py.
Config files are Python and are executed: run only those you trust.
"""

import pathlib
import re
import sys
import time

from absl import flags, logging
from ml_collections import config_flags

from configs import base
from gan_jax import overrides
from gan_jax.exits import fail, one_line

STARTED = time.monotonic()
CONFIGS = pathlib.Path(__file__).resolve().parent / 'configs'
MODES = 'train sample interpolate evaluate diagnose compare replay'.split()
FLAGS = flags.FLAGS

config_flags.DEFINE_config_file(
  'config', None, 'FILE[:ARG]; default: configs/mlp_digits.py.'
)
flags.DEFINE_string('workdir', None, 'Folder of the run; default: in runs/.')
flags.DEFINE_enum('mode', 'train', MODES, 'What to do.')
flags.DEFINE_string('coordinator', None, 'Several processes: HOST:PORT, auto.')
flags.DEFINE_integer('num_processes', None, 'How many there are.')
flags.DEFINE_integer('process_id', None, 'Number of this one, from 0 on.')


def parse_flags() -> tuple[str, list[str]]:
  """Parses sys.argv, or says in one line what is wrong; FILE[:ARG], runs."""
  if {'--help', '-help', '-h'} & set(sys.argv):
    module = FLAGS.find_module_defining_flag('mode')
    print(__doc__ + FLAGS.module_help(module))
    sys.exit(0)
  path = str(CONFIGS / 'mlp_digits.py')
  if not any(re.match('--?config(=|$)', argument) for argument in sys.argv):
    sys.argv.insert(1, f'--config={path}')
  try:
    stray = FLAGS(sys.argv)[1:]
    path = config_flags.get_config_filename(FLAGS['config'])
    FLAGS.config.lock()  # fails if the file could not be loaded
  except flags.IllegalFlagValueError as error:
    # A ValueError of a config file comes with its traceback; keep its end.
    fail(re.sub(r'Error whilst.*\n(?=.)', '', str(error).strip(), flags=re.S))
  except flags.Error as error:
    fail(f'{error}; flags: --config, --config.KEY, --workdir, --mode, --help')
  except OSError:
    known = sorted(f'configs/{file.name}' for file in CONFIGS.glob('*.py'))
    fail(f'config: cannot load {path}; valid: {", ".join(known)}')
  except Exception as error:  # an unknown key, or whatever a config raises
    problem = overrides.unknown_key(base.get_config(), sys.argv)
    fail(problem or f'config: {type(error).__name__}: {error}')
  if stray and FLAGS.mode != 'compare':
    fail(f'unexpected argument {stray[0]!r}; write --config.KEY=VALUE')
  return path, stray


def main() -> None:
  """Parses flags and runs."""
  config_file, runs = parse_flags()
  logging.set_verbosity(logging.FATAL)  # libraries' asides; we say it ourselves
  with one_line():
    run(config_file, runs)


def run(config_file: str, runs: list[str]) -> None:
  """Joins other processes, if there are any, and does what --mode says."""
  from gan_jax import comparison, hosts, inference, parallel, training, workdir

  if FLAGS.coordinator and FLAGS.mode != 'train':
    fail(f'--coordinator: --mode={FLAGS.mode} is for one process; leave it out')
  hosts.enter(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
  parallel.enable_compilation_cache()
  changed = config_flags.get_override_values(FLAGS['config'])
  original = FLAGS['config'].parser.parse(config_file)
  overrides.forget_replaced(FLAGS.config, base.get_config(), original, changed)
  path = FLAGS.workdir or overrides.default_workdir(config_file, changed)
  if FLAGS.mode == 'train':
    training.train(FLAGS.config, path, started=STARTED)
  elif FLAGS.mode == 'compare':
    comparison.compare(runs, FLAGS.workdir or 'runs/comparison')
  else:
    workdir.check_overrides(path, changed)
    getattr(inference, FLAGS.mode)(FLAGS.config, path)


if __name__ == '__main__':
  main()
