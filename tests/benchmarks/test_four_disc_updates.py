"""The recipe with four D updates as a plain loop, beside ours."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from benchmarks import four_disc_updates as four  # noqa: E402

IMAGES = np.random.default_rng(0).integers(0, 255, (300, 28, 28, 1), np.uint8)


def test_probabilities_end_where_logits_go_on():
  """At a logit of -200 D(x) is 0 in float32, and its logarithm cut at -100."""
  logits = torch.full((2, 1), -200.0, requires_grad=True)
  ones = torch.ones(2, 1)
  saturated = four.tutorial_loss(logits, ones)
  assert float(saturated.detach()) == 100.0
  saturated.backward()
  assert not logits.grad.any()  # and D cannot come back
  plain = four.LOSSES['PyTorch, on logits'](logits, ones)
  assert float(plain.detach()) == 200.0
  logits = torch.tensor([[0.3], [-1.2]])
  torch.testing.assert_close(
    *(loss(logits, ones) for loss in four.LOSSES.values())
  )


def test_g_moves_once_for_four_batches_and_a_seed_says_all(monkeypatch):
  monkeypatch.setattr(four, 'EVERY', 1)
  monkeypatch.setattr(four, 'JUDGED', 3)
  updates = []
  step = torch.optim.Adam.step
  monkeypatch.setattr(
    torch.optim.Adam,
    'step',
    lambda self: (updates.append(self.param_groups[0]['params']), step(self)),
  )
  loss = four.LOSSES['PyTorch, on logits']
  run, again = (four.plain_loop(loss, IMAGES, 2, seed=1) for _ in range(2))
  sizes = [params[0].shape[1] for params in updates[:10]]
  assert sizes == 2 * [784, 784, 784, 784, 100]
  assert [row['step'] for row in run.rows] == [1, 2]
  assert run.rows == again.rows
  assert run.images.shape == (3, 28, 28, 1)
  np.testing.assert_array_equal(run.images, again.images)
  assert np.float32(1e-40) * np.float32(1.0) > 0  # as for everybody else


def test_the_table_is_of_the_last_steps():
  rows = [dict.fromkeys(four.CURVES, float(i)) | {'step': i} for i in range(20)]
  run = four.Run(rows, IMAGES)
  shares = np.array([0.97, 0.02, 0.005, 0.005, 0, 0, 0, 0, 0, 0])
  found = four.row_of('ours', 3, run, shares)
  assert found == ['ours', '3', *[18.5] * 4, '2', '97 % 0']
