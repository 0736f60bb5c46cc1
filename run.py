"""gan_jax: train, resume, sample and score GANs.

  python run.py                                    # digits, under a minute
  python run.py --config=configs/dcgan_cifar.py    # another result
  python run.py --config.loss=wasserstein          # one key changed
  python run.py --mode=sample --workdir=runs/mlp_digits

The same command resumes a run where it stopped. Keys: configs/base.py.
Config files are Python and are executed: run only those you trust.
"""

import pathlib
import re
import sys
import time

from absl import flags
from ml_collections import config_flags

STARTED = time.monotonic()
CONFIGS = pathlib.Path(__file__).resolve().parent / 'configs'
MODES = ('train', 'sample', 'interpolate', 'evaluate')
FLAGS = flags.FLAGS

config_flags.DEFINE_config_file(
  'config',
  None,
  'Config file, FILE[:ARG], by default configs/mlp_digits.py; '
  '--config.KEY=VALUE changes one of its keys.',
)
flags.DEFINE_string(
  'workdir',
  None,
  'Folder of the run. By default runs/ and the name of the config file, with '
  'the keys that the command line changed.',
)
flags.DEFINE_enum('mode', 'train', MODES, 'What to do.')


def fail(message: object) -> None:
  """Prints one line and ends with the exit code of bad input."""
  print('error:', ' '.join(str(message).split()), file=sys.stderr)
  sys.exit(2)


def parse_flags() -> None:
  """Parses sys.argv, or ends with one line that says what is wrong."""
  if {'--help', '-help', '-h'} & set(sys.argv):
    print(
      f'{__doc__}{FLAGS.module_help(FLAGS.find_module_defining_flag("mode"))}'
    )
    sys.exit(0)
  if not any(re.match('--?config(=|$)', argument) for argument in sys.argv):
    sys.argv.insert(1, f'--config={CONFIGS / "mlp_digits.py"}')
  try:
    stray = FLAGS(sys.argv)[1:]
    config = FLAGS.config
    config.lock()  # fails if the file could not be loaded
  except (AttributeError, KeyError) as error:
    from configs import base
    from gan_jax.overrides import unknown_key

    fail(unknown_key(base.get_config(), sys.argv) or error)
  except OSError:
    known = ', '.join(sorted(f'configs/{p.name}' for p in CONFIGS.glob('*.py')))
    fail(f'config: cannot load {config_file()}; valid: {known}')
  except flags.Error as error:
    fail(f'{error}; flags: --config, --config.KEY, --workdir, --mode, --help')
  except Exception as error:  # whatever a config file raises
    fail(f'config: {config_file()}: {type(error).__name__}: {error}')
  if stray:
    fail(f'unexpected argument {stray[0]!r}; write --config.KEY=VALUE')


def config_file() -> str:
  """The config file asked for, without its argument."""
  return config_flags.get_config_filename(FLAGS['config']).split(':')[0]


def main() -> None:
  """Parses flags, sets devices up, and does what --mode says."""
  parse_flags()
  from gan_jax import inference, overrides, parallel, training, workdir
  from gan_jax.types import InputError

  parallel.enable_compilation_cache()
  config = FLAGS.config
  changed = config_flags.get_override_values(FLAGS['config'])
  path = FLAGS.workdir or overrides.default_workdir(config_file(), changed)
  try:
    if FLAGS.mode == 'train':
      training.train(config, path, started=STARTED)
    else:
      workdir.check_overrides(path, changed)
      getattr(inference, FLAGS.mode)(config, path)
  except InputError as error:
    fail(error)
  except KeyboardInterrupt:
    print('interrupted; the same command resumes the run', file=sys.stderr)
    sys.exit(130)


if __name__ == '__main__':
  main()
