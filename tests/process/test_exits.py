"""What a command says as it ends."""

import pytest

from gan_jax.process.exits import one_line


@pytest.mark.parametrize(
  ('mode', 'line'),
  [
    ('train', 'interrupted before training began; nothing was lost'),
    ('evaluate', 'interrupted; nothing was written'),
    ('diagnose', 'interrupted; nothing was written'),
    ('sample', 'interrupted'),
  ],
)
def test_an_interruption_says_what_it_cost(mode, line, capsys):
  with pytest.raises(SystemExit) as ended, one_line(mode):
    raise KeyboardInterrupt
  assert ended.value.code == 130
  assert capsys.readouterr().err == f'error: {line}\n'
