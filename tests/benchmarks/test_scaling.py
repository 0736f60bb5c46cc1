"""What the paper part of benchmarks/scaling.py claims holds in programs."""

import math

import jax
import numpy as np
import pytest

from benchmarks import full_runs, scaling
from benchmarks.scaling import Level, Traffic
from gan_jax.data import make_feed
from tests.helpers import fake_info, load_config, sampled, tiny_keys

PLAIN = Traffic(averages=4_000, moments=0, moves=2)


@pytest.mark.parametrize(
  ('name', 'network', 'shape'),
  sampled(
    [
      ('mlp_mnist', 'mlp', (8, 8, 1)),
      ('cdcgan_fashion', 'dcgan', (16, 16, 1)),  # batch norm in both players
      ('dcgan_cifar', 'dcgan', (16, 16, 3)),  # both update on the same fakes
      ('wgan_gp_mnist', 'dcgan', (8, 8, 1)),  # a loop of five updates of D
    ],
    ('cdcgan_fashion', 'dcgan', (16, 16, 1)),
  ),
)
def test_the_formula_is_what_the_compiled_step_sends(name, network, shape):
  config = load_config(name, **tiny_keys(network))
  info = fake_info(shape)
  sent = scaling.traffic(config, info)
  step = scaling.compiled_step(config, info, jax.devices()[:2])
  calls, counted = scaling.collectives(step, 2)
  assert counted == sent.averages + sent.moments
  assert calls >= sent.moves == config.disc_steps + config.gen_steps
  assert (sent.moments > 0) == (network == 'dcgan')


def test_collectives_in_loops_count_as_often_as_they_run():
  program = """HloModule jit_step

%body.1 (x: f32[4]) -> f32[4] {
  %r = (f32[4]{0}, bf16[2,3]{1,0}) all-reduce(%x, %y), to_apply=%add
}

ENTRY %main (x: f32[4]) -> f32[] {
  %w = f32[4] while(%x), condition=%c, body=%body.1, \
backend_config={"known_trip_count":{"n":"3"}}
  %all-reduce.2 = f32[] all-reduce(%w), to_apply=%add
  %g = f32[2,4,8]{2,0,1} all-gather(%w), dimensions={1}
  %s = f32[2,1,8]{2,0,1} reduce-scatter(%g), to_apply=%add
}
"""
  expected = 3 + 3, 3 * (16 + 12) + 4 + 64 + 64
  assert scaling.collectives(program, 4) == expected


def test_more_work_is_more_operations():
  info = fake_info((8, 8, 1))
  config = load_config('mlp_digits', **tiny_keys('mlp'), batch_size=64)
  once = scaling.flops(config, info)
  config.disc_steps = 2
  twice = scaling.flops(config, info)
  config.disc_steps, config.batch_size = 1, 128
  assert once < twice < 2 * once
  assert once < scaling.flops(config, info) < 2 * once


def test_a_ring_by_hand():
  # 2 * 3/4 of 4 GB at 1 GB/s, and six hops of a second.
  assert scaling.reduce_seconds(4e9, [Level(4, 1e9, 1.0)]) == 6.0 + 6.0


def test_a_tree_is_taken_where_it_is_faster():
  level = Level(4, 1e9, hop=10.0, tree_hop=0.5)
  assert scaling.reduce_seconds(4e9, [level]) == 8.0 + 2.0


def test_a_gather_by_hand():
  # Three times 1 GB at 1 GB/s and a hop; then 4 GB to the other of a node.
  levels = [Level(2, 8e9, 0.25), Level(4, 1e9, 1.0)]
  seconds = scaling.gather_seconds(1e9, levels, launch=0.5)
  assert seconds == 3 * (1 + 1) + (0.5 + 0.25) + 0.5
  assert scaling.gather_seconds(1e9, [Level(1, 1e9, 1.0)], 0.5) == 0.0


def test_without_latency_levels_are_one_ring():
  levels = [Level(size, 1e9, 0.0) for size in (2, 4, 8)]
  seconds = scaling.reduce_seconds(64e9, levels)
  assert seconds == pytest.approx(2 * 63 / 64 * 64, rel=1e-12)


def test_a_slower_network_carries_what_a_node_leaves_of_it():
  levels = scaling.nodes(8e9, 1e9, 16)
  seconds = scaling.reduce_seconds(8e9, levels, launch=1.0)
  hops = 14 * 1.9e-6 + 2 * 4.0e-6
  assert seconds == pytest.approx(2 * 7 / 8 + 2 * 1 / 2 + hops + 1.0)


@pytest.mark.parametrize('sent', [PLAIN, PLAIN._replace(moments=100)])
@pytest.mark.parametrize('hidden', [0.0, 0.5])
def test_a_single_device_and_a_perfect_network_lose_nothing(sent, hidden):
  alone = scaling.nodes(450e9, 50e9, 1)
  perfect = [Level(64, math.inf, 0.0)]
  assert scaling.efficiency(1e-3, sent, 9, alone, 1.0, hidden) == 1.0
  assert scaling.efficiency(1e-3, sent, 9, perfect, 0.0, hidden) == 1.0


def test_an_efficiency_by_hand():
  levels = [Level(2, 1_000.0, 0.5)]
  # Each of two averages: 2 * 1/2 of 2,000 bytes, two hops of half a second.
  assert scaling.efficiency(4.0, PLAIN, 2, levels) == 4 / (4 + 2 * 3)
  assert scaling.efficiency(4.0, PLAIN, 2, levels, 0.0, 0.5) == 4 / (4 + 4)
  assert scaling.efficiency(20.0, PLAIN, 2, levels, 0.0, 0.5) == 1.0
  # Three gathers of 1,000 bytes of moments, one hop each; nothing hides them.
  both = PLAIN._replace(moments=3_000)
  got = scaling.efficiency(20.0, both, 5, levels, 0.0, 0.5)
  assert got == 20 / (20 + 3 * 1.5)


@pytest.mark.parametrize(
  ('dims', 'num', 'sides'),
  [
    (3, 8, [2, 2, 2]),
    (3, 1024, [8, 8, 16]),
    (2, 256, [16, 16]),
    (2, 1, [1, 1]),
  ],
)
def test_a_torus_has_about_equal_sides(dims, num, sides):
  levels = scaling.torus(dims, 4096, 1e9, num)
  assert [level.size for level in levels] == sides


def test_what_does_not_exist_has_no_efficiency():
  work = (64, 1e12, PLAIN, 2)
  assert scaling.expected(work, 0.3, 1024, 1.0, 'TPU v5e') == '-'
  assert scaling.expected(work, 0.3, 128, 1 / 128) == '-'
  assert scaling.expected(work, 0.3, 1) == '100%, 100%'


@pytest.mark.parametrize(('cache', 'each'), [('device', 8), ('stream', 68)])
def test_bytes_of_a_draw(digits, cache, each):
  feed = make_feed(digits.train, cache=cache, batch_size=16, seed=0)
  draw = next(feed.draws(0))
  assert sum(np.asarray(x).nbytes for x in draw.values()) == 16 * each


# --- Full runs ----------------------------------------------------------------


@pytest.mark.parametrize('name', ['mlp_digits', 'progressive_mnist'])
def test_all_steps_of_a_run_count_once(name, monkeypatch):
  monkeypatch.setattr(scaling, 'flops', lambda config, info: 2.0)
  steps, total = full_runs.operations(name)
  assert total == 2.0 * steps


@pytest.mark.parametrize(
  ('name', 'shape', 'columns'),
  [
    ('pix2pix_256', (256, 256, 3), {'source': (256, 256, 3)}),
    ('colourise_cifar', (32, 32, 3), {'source': (32, 32, 1)}),
    ('edges_mnist', (32, 32, 1), {'source': (32, 32, 1)}),
    ('cyclegan_emoji', (32, 32, 3), {'other': (32, 32, 3)}),
    ('text_emoji', (32, 32, 3), {'text': (2,)}),
    ('progressive_mnist', (32, 32, 1), {}),
  ],
)
def test_a_step_is_counted_at_its_own_size(name, shape, columns):
  config, info = scaling.config_of(name)
  info = full_runs.sized(config, info)
  assert (info.image_shape, info.columns) == (shape, columns)
  batch = scaling.abstract_batch(config, info, size=config.batch_size)
  assert batch.images.shape == (config.batch_size, *shape)
  assert set(columns) <= set(batch.given)
