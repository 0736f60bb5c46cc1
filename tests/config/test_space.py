"""What a search may try, as JSON."""

import json

import numpy as np
import pytest

from configs import base
from gan_jax.config.space import read_space
from gan_jax.types import InputError

FIELDS = base.get_config().to_dict()


def space(**keys):
  described = {key.replace('__', '.'): value for key, value in keys.items()}
  return read_space(json.dumps(described), FIELDS)


def test_ranges_and_choices():
  found = space(
    gen_optimizer__learning_rate=[1e-4, 1e-3, 'log'],
    penalty_weight=[0.5, 10.0],
    batch_size=[32, 128],
    loss=['hinge', 'non_saturating'],
    latent_dim={'choices': [16, 32]},
    network__gen_widths=[[64, 64], [128]],
  )
  rate, weight, batch, loss, latent, widths = found.dimensions
  assert (rate.low, rate.high, rate.log) == (1e-4, 1e-3, True)
  assert (weight.log, weight.whole, batch.whole) == (False, False, True)
  assert loss.choices == ('hinge', 'non_saturating')
  assert latent.choices == (16, 32)
  assert widths.choices == ((64, 64), (128,))
  assert not found.scalars


def test_scalars_that_one_program_can_try():
  assert space(gen_optimizer__learning_rate=[1e-4, 1e-3]).scalars
  assert space(disc_optimizer__b1=[0.0, 0.9], penalty_weight=[1, 2]).scalars
  assert not space(disc_optimizer__eps=[1e-8, 1e-6]).scalars


def test_a_grid_has_all_combinations():
  found = space(
    gen_optimizer__learning_rate=[1e-4, 1e-2, 'log', 3],
    batch_size=[32, 64],
    latent_dim=[10, 20, 5],
    loss=['hinge', 'minimax'],
  ).grid()
  assert len(found) == 3 * 2 * 3 * 2  # of latent_dim, a list of choices
  rates = sorted({point['gen_optimizer.learning_rate'] for point in found})
  np.testing.assert_allclose(rates, [1e-4, 1e-3, 1e-2])
  assert {point['batch_size'] for point in found} == {32, 64}
  assert len({json.dumps(point) for point in found}) == len(found)


def test_a_file_does_as_well(tmp_path):
  path = tmp_path / 'space.json'
  path.write_text('{"batch_size": [32, 64]}')
  assert read_space(str(path), FIELDS) == space(batch_size=[32, 64])


@pytest.mark.parametrize(
  ('described', 'words'),
  [
    ('', 'what is to be tried'),
    ('{"batch_size": [1, 2]', 'not JSON'),
    ('nowhere.json', 'neither JSON in braces nor a file'),
    ('[1, 2]', 'neither JSON in braces nor a file'),
    ('{}', 'no JSON object of keys'),
    (
      '{"lr": [1, 2]}',
      "no key 'lr'; nearest: disc_optimizer",
    ),
    ('{"gen_optimizer": [1, 2]}', "no key 'gen_optimizer'"),
    ('{"batch_size": [64, 32]}', r'from 64 to 32; the lower .* \[32, 64\]'),
    ('{"batch_size": [64, 64]}', 'from 64 to 64'),
    ('{"penalty_weight": [0, 1, "log"]}', 'has no logarithm'),
    ('{"penalty_weight": 3}', 'has to be'),
    ('{"penalty_weight": %s}' % ('9' * 400), 'has to be'),
    ('{"penalty_weight": []}', 'has to be'),
    ('{"penalty_weight": {"from": 1}}', 'has to be'),
    ('{"loss": ["hinge", "hinge"]}', 'a choice twice'),
    ('{"loss": [{"a": 1}]}', 'as a choice'),
    ('{"penalty_weight": [1, 2, "log", 1]}', '1 points'),
    ('{"penalty_weight": [1, 2, "log", 1.5]}', '1.5 points'),
    ('{"seed": [1, 2]}', 'does not shape a training run'),
    ('{"sample.num": [1, 2]}', 'does not shape a training run'),
    ('{"num_seeds": [1, 2]}', 'does not shape a training run'),
  ],
)
def test_what_is_no_space(described, words):
  with pytest.raises(InputError, match=words) as error:
    read_space(described, FIELDS)
  assert str(error.value).startswith('search.space')


def test_a_grid_is_of_points():
  found = space(penalty_weight=[1.0, 2.0, 'log'])
  with pytest.raises(InputError, match='is a range, and a grid is of points'):
    found.grid()


def test_a_grid_has_its_limit():
  many = {f'network__{k}': list(range(100)) for k in ('depth', 'samples')}
  with pytest.raises(InputError, match=r'1,000,000 points'):
    space(**many, batch_size=list(range(1, 101))).grid()
