"""Classes by number and by name."""

import pytest

from gan_jax.sampling.labels import class_index, plain, shortened
from gan_jax.types import InputError

NAMES = ('T-shirt/top', 'Trouser', 'Shirt', 'shirt', 'Ankle boot', 'boots')


@pytest.mark.parametrize(
  ('label', 'expected'),
  [
    (0, 0),
    (5, 5),
    ('Ankle boot', 4),
    ('ANKLE_BOOT', 4),
    ('ankle', 4),  # of one name alone
    ('t shirt top', 0),
    ('boots', 5),
    ('AnkleBoot', 4),  # without what stands between words
    ('shirt', 3),  # to the letter, before any other
  ],
)
def test_a_class_by_number_or_name(label, expected):
  assert class_index(label, len(NAMES), NAMES) == expected


def test_names_are_not_needed_for_numbers():
  assert class_index(9, 10) == 9


def test_names_that_are_the_numbers_are_not_said_twice():
  with pytest.raises(InputError, match=r'valid: 0 to 2$'):
    class_index('ten', 3, ('0', '1', '2'))


@pytest.mark.parametrize(
  ('label', 'problem'),
  [
    (6, r'6 is not valid; valid: 0 to 5, or T-shirt/top, Trouser, Shirt, '),
    (-1, r'-1 is not valid'),
    ('sandal', r"'sandal' is not valid; valid: 0 to 5, or T-shirt"),
    ('', r"'' is not valid"),
    ('SHIRT', r"'SHIRT' may mean Shirt, shirt; write one of them"),
    ('boot', r"'boot' may mean Ankle boot, boots; write"),
  ],
)
def test_what_is_no_class(label, problem):
  with pytest.raises(InputError, match=f'^label: {problem}'):
    class_index(label, len(NAMES), NAMES)


@pytest.mark.parametrize('label', [0, 'boot'])
def test_an_unconditional_model_has_none(label):
  with pytest.raises(InputError, match='the model is not conditional; leave'):
    class_index(label, 0, ())


def test_many_names_are_shortened():
  names = [f'n{i}' for i in range(1000)]
  assert shortened(names[:12]) == ', '.join(names[:12])
  assert shortened(names) == ', '.join(names[:12]) + ', ...'
  with pytest.raises(InputError) as error:
    class_index('n', 1000, names)
  assert len(str(error.value)) < 120


def test_names_for_files():
  assert plain(' T-shirt/Top..') == 't_shirt_top'
