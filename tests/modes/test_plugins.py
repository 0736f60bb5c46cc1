"""The plugin of docs/extending.md, and a config file that is one."""

import json

import pytest

from tests.helpers import run_cli, tiny_flags
from tests.test_extending import recipes

CONFIG = """
from configs import base


def get_config():
  config = base.get_config()
  config.data.name = 'stripes'
  return config
"""


@pytest.mark.slow  # three processes; the parts are tested by call
def test_another_process_finds_the_parts(tmp_path):
  """A loss and an architecture of a plugin, data of the config file.

  Two processes, since both are executed once in each: TFDS takes no builder
  twice.
  """
  codes = {name: code for name, side, _, code in recipes() if side is None}
  parts, config = tmp_path / 'my_parts.py', tmp_path / 'my_config.py'
  parts.write_text(codes['my_parts.py'])
  config.write_text(codes['gan_jax/data/stripes.py'] + CONFIG)
  env = {'XDG_CACHE_HOME': str(tmp_path / 'cache')}
  workdir, *flags = tiny_flags(
    tmp_path / 'run',
    network__name='half_linear',
    loss='wide_margin',
    data__dir=tmp_path / 'data',
  )
  flags = [flag for flag in flags if 'gen_widths' not in flag]
  done = run_cli(
    *flags, workdir, f'--config={config}', f'--plugin={parts}', env=env
  )
  assert done.returncode == 0, done.stderr
  remembered = json.loads((tmp_path / 'run' / 'plugins.json').read_text())
  names = [plugin['name'] for plugin in remembered['plugins']]
  assert names == [str(parts), str(config)]
  done = run_cli(
    *('--mode=evaluate', workdir, '--config.eval.num_samples=20'),
    *('--config.eval.scores=fid', '--config.eval.network=random'),
    env=env,
  )
  assert done.returncode == 0, done.stderr
  scores = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
  assert 'fid_random' in scores['scores']
