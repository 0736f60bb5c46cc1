"""--helpkeys: every key with its default and its meaning."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from configs import base
from gan_jax.config import key_help
from gan_jax.config.overrides import dotted
from tests.helpers import ROOT

SOURCE = (ROOT / 'configs' / 'base.py').read_text()

SMALL = """
def player():
  return Config(dict(rate=0.1))  # not of rate


def get_config():
  return Config(
    dict(
      # --- a heading
      seed=0,  # of weights
      # Above,
      # on two lines.
      loss='a',
      gen=player(),
      data=dict(
        # --- another one
        name='digits',  # a name, or
        # Of size alone.
        size=8,
        flip=False,
      ),
    )
  )
"""


def test_a_meaning_is_beside_a_key_or_above_it():
  assert key_help.meanings(SMALL) == {
    'seed': 'of weights',
    'loss': 'Above, on two lines.',
    'gen.rate': 'not of rate',
    'data.name': 'a name, or',
    'data.size': 'Of size alone.',
    'data.flip': '',
  }


def test_every_key_has_a_meaning_and_stands_once():
  meanings = key_help.meanings(SOURCE)
  assert sorted(meanings) == sorted(dotted(base.get_config()))
  assert not [key for key, meaning in meanings.items() if len(meaning) < 3]
  lines = key_help.listing(base.get_config(), SOURCE)
  listed = [line.split()[0] for line in lines if not line.startswith(' ')]
  assert listed == list(meanings)
  assert max(map(len, lines)) <= 100


def test_keys_are_listed_with_default_and_meaning_aligned():
  lines = key_help.listing(base.get_config(), SOURCE, 'tricks.augment')
  assert lines == [
    "tricks.augment         'none'            "
    'of what D sees: none, diffaugment, ada',
    'tricks.augment_end     None              '
    'ada: where its probability goes from 0 (see anneal_steps);',
    ' ' * 41 + 'None: D steers it',
    "tricks.augment_policy  ('colour', 'translation', 'cutout')",
    ' ' * 41 + 'of diffaugment',
  ]


@pytest.mark.parametrize(
  ('pattern', 'expected'),
  [
    ('diagnose', 'diagnose.(window|grad_norm|samples|classifier)'),
    ('gen_opt*rate', 'gen_optimizer.(learning_rate|decay_rate)'),
    ('latent_dim', 'latent_dim'),
  ],
)
def test_keys_of_a_section_or_a_pattern(pattern, expected):
  text = '\n'.join(key_help.listing(base.get_config(), SOURCE, pattern))
  names = re.findall(r'^\S+', text, re.M)
  assert all(re.fullmatch(expected, name) for name in names)
  assert len(names) == expected.count('|') + 1


@pytest.mark.parametrize(
  ('arguments', 'pattern'),
  [
    ([], None),
    (['--config.helpkeys=1', 'helpkeys'], None),
    (['--mode=sample', '--helpkeys'], ''),
    (['-helpkeys=eval'], 'eval'),
    (['--helpkeys', 'eval', 'more'], 'eval'),
    (['--helpkeys', '--mode=sample'], ''),
  ],
)
def test_what_is_asked_for(arguments, pattern):
  assert key_help.asked(arguments) == pattern


def test_no_such_key_is_answered_by_those_like_it(capsys):
  with pytest.raises(SystemExit) as ended:
    key_help.answer(['--helpkeys=latnt'], [], base, {})
  assert ended.value.code == 2
  line = capsys.readouterr().err
  assert line.startswith("error: helpkeys: no key is named like 'latnt'; near")
  assert 'latent_dim' in line
  assert key_help.answer(['--mode=train'], [], base, {}) is None


def test_a_pager_may_have_seen_enough():
  """`python run.py --helpkeys | head -1`."""
  read, write = os.pipe()
  os.close(read)
  with os.fdopen(write, 'w') as pipe:
    done = subprocess.run(
      [sys.executable, str(ROOT / 'run.py'), '--helpkeys'],
      stdout=pipe,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )
  assert (done.returncode, done.stderr) == (0, '')


def test_names_and_lines_are_a_table():
  assert key_help.table({'a': 'one', 'long': 'two'}) == (
    textwrap.indent('a     one\nlong  two', '  ')
  )
