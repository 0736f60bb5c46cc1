"""report.html and comparison.html: whole, escaped, and asking for nothing."""

import json
import re

import numpy as np
import pytest

from gan_jax.config import defaults, references
from gan_jax.modes.diagnose import diagnose
from gan_jax.modes.evaluate import evaluate
from gan_jax.modes.report import report
from gan_jax.modes.train import train
from gan_jax.reporting import charts, page, run_page
from gan_jax.types import InputError
from gan_jax.workdir import layout
from tests.browser import opened
from tests.helpers import tiny_digits

SCORED = {
  'eval.num_samples': 20,
  'eval.network': 'random',
  'eval.scores': ('fid',),
}
KEYS = dict(num_steps=12, log_every=2, sample_every=4, checkpoint_every=12)


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A finished run whose name is no HTML."""
  path = tmp_path_factory.mktemp('report') / 'a <b> & "c"'
  train(tiny_digits(**KEYS), path)
  return path


def html_of(path):
  return (path / 'report.html').read_text()


def sections(text):
  return re.findall('<h2>(.*?)</h2>', text)


def panels(text):
  found = re.findall(r'<script type="application/json">(.*?)</script>', text)
  return [panel for each in found for panel in json.loads(each)]


def test_training_leaves_a_page_that_holds_everything(workdir):
  text = html_of(workdir)
  assert 'a &lt;b&gt; &amp; &quot;c&quot;' in text
  assert '<b> &' not in text
  assert sections(text) == [
    *('Samples', 'Verdict', 'Scores', 'Curves', 'Config', 'How to go on'),
    *('Environment', 'Papers'),
  ]
  # Nothing comes from elsewhere.
  for address in re.findall(r'(?:src|href)="([^"]*)"', text):
    assert address.startswith(('data:', '#')), address[:80]
  assert 'url(' not in text
  assert '@import' not in text


def test_grids_through_time(workdir):
  alts = re.findall(
    r'<img src="data:image/png[^"]*" alt="([^"]*)"', html_of(workdir)
  )
  assert alts == ['step 4', 'step 8', 'the end, step 12']
  assert html_of(workdir).count('class="shown"') == 1


def test_curves_are_the_rows(workdir):
  found = {panel['title']: panel for panel in panels(html_of(workdir))}
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  rows = list(map(json.loads, lines))
  losses = found['losses']['series']
  assert [curve['name'] for curve in losses] == ['disc_loss', 'gen_loss']
  assert losses[0]['x'] == [row['step'] for row in rows]
  np.testing.assert_allclose(
    losses[0]['y'], [row['disc_loss'] for row in rows], rtol=1e-3
  )
  assert found['D(x) and D(G(z))']['limits'] == [0.0, 1.0]


def test_what_differs_from_the_base_is_told_with_its_meaning(workdir):
  text = html_of(workdir)
  config = text[text.index('<h2>Config') : text.index('<h2>How to go on')]
  keys = re.findall('<td class="number" data-head="key">(.*?)</td>', config)
  flat = layout.flatten(layout.config_fields(workdir))
  base = defaults.base()
  assert 'num_steps' in keys
  for key, value in flat.items():
    shapes = key.split('.')[0] not in run_page._ASKED
    assert (key in keys) == (shapes and value != base.values[key]), key
  assert page.text(base.meanings['num_steps']) in config


def test_the_papers_are_those_of_the_parts(workdir):
  text = html_of(workdir)
  papers = text[text.index('<h2>Papers') :]
  assert 'network mlp' in papers
  assert 'Goodfellow et al., Generative Adversarial Networks' in papers
  fields = layout.config_fields(workdir)
  fields |= {'loss': 'hinge', 'penalty': 'r1', 'solver': 'extragradient'}
  fields['network'] = {'name': 'stylegan2'}
  found = references.papers(fields)
  assert 'arXiv 1912.04958' in found['network stylegan2']
  assert 'Geometric GAN' in found['loss hinge']
  assert 'Mescheder' in found['penalty r1']
  assert 'arXiv 1802.10551' in found['solver extragradient']
  fields |= {'game': 'diffusion', 'network': {'name': 'unet'}}
  found = references.papers(fields)
  assert 'arXiv 2006.11239' in ' '.join(found.values())
  assert 'loss hinge' not in found


def test_every_part_of_the_commands_is_quoted(workdir):
  text = html_of(workdir)
  assert page.text(f"--mode=sample --workdir='{workdir}'") in text


@pytest.mark.slow
def test_scores_and_a_diagnosis_come_in_when_they_are_there(tmp_path, capsys):
  train(tiny_digits(**KEYS), tmp_path)
  assert 'Not scored yet' in html_of(tmp_path)
  evaluate(tiny_digits(**SCORED), tmp_path)
  text = html_of(tmp_path)
  assert 'Not scored yet' not in text
  assert 'fid_random' in text
  assert 'network_digest' in text
  assert 'pixel_distance' not in text
  keys = {'diagnose.samples': 100, 'diagnose.classifier': False}
  diagnose(tiny_digits(**keys), tmp_path)
  assert 'pixel_distance' in html_of(tmp_path)
  assert 'diagnosis.json and report.html' in capsys.readouterr().out
  path = tmp_path / 'diagnosis.json'
  path.write_text(path.read_text().replace('"step": 12', '"step": 8'))
  report(tiny_digits(), tmp_path)  # what was found before says nothing now
  assert 'pixel_distance' not in html_of(tmp_path)
  path.write_text('{"verdict": 3}')
  assert report(tiny_digits(), tmp_path) == tmp_path / 'report.html'
  assert 'pixel_distance' not in html_of(tmp_path)


@pytest.mark.slow
def test_several_runs_are_a_table(tmp_path):
  train(tiny_digits(**KEYS, num_seeds=3), tmp_path)
  evaluate(tiny_digits(**SCORED), tmp_path)
  text = html_of(tmp_path)
  assert '3 runs in one program' in text
  for seed in range(3):
    assert f'{seed}: seed-{seed}' in text
  assert '<th>3 seeds</th>' in text
  losses = next(p for p in panels(text) if p['title'] == 'losses')
  assert len(losses['series']) == 2
  assert {'low', 'high'} <= set(losses['series'][0])


def test_no_run_is_one_line(tmp_path):
  with pytest.raises(InputError, match=r'config\.json is missing'):
    report(tiny_digits(), tmp_path / 'nothing')
  assert not (tmp_path / 'nothing').exists()


@pytest.mark.slow
def test_a_page_that_cannot_be_written_stops_no_training(tmp_path, capsys):
  (tmp_path / 'report.html' / 'in the way').mkdir(parents=True)
  train(tiny_digits(**KEYS), tmp_path)
  out = capsys.readouterr().out
  assert 'note: report.html was not written' in out
  assert 'done: 12 steps' in out


def test_what_is_not_finite_is_a_gap():
  rows = [
    {'step': t, 'disc_loss': float('nan') if t == 2 else 1.0 * t}
    for t in range(1, 5)
  ]
  (panel,) = charts.of_losses(rows)
  assert panel['series'][0]['y'] == [1.0, None, 3.0, 4.0]
  json.dumps(panel, allow_nan=False)


def test_a_spike_does_not_flatten_the_rest():
  rows = [
    {'step': t, 'gen_loss': 1e6 if t == 50 else 1.0 + 0.1 * (t % 3)}
    for t in range(100)
  ]
  (panel,) = charts.of_losses(rows)
  low, high = panel['limits']
  assert low <= 1.0
  assert 1.2 <= high < 10.0


def test_long_runs_are_thinned_to_what_a_page_can_show():
  rows = [{'step': t, 'disc_loss': 1.0} for t in range(5_000)]
  (panel,) = charts.of_losses(rows)
  assert len(panel['series'][0]['x']) <= 400
  assert panel['series'][0]['x'][-1] == 4_999


def test_large_pictures_are_compressed():
  noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
  assert page.uri(noise).startswith('data:image/webp')
  assert page.uri(noise[:8, :8]).startswith('data:image/png')


@pytest.mark.slow
def test_one_row_of_a_large_step_is_drawn(tmp_path):
  """Ticks between numbers that are next to each other."""
  rows = [{'step': 5_000_000, 'disc_loss': 1.0, 'gen_loss': 1.0 + 1e-15}]
  found = page.Page('one')
  found.add('Curves', page.charts(charts.of_losses(rows)))
  found.write(tmp_path / 'one.html')
  with opened((tmp_path / 'one.html').as_uri()) as (it, trouble):
    assert it.locator('.chart svg circle').count() == 2
    assert [x for x in trouble if not x.startswith(('data:', 'file:'))] == []


@pytest.mark.slow
@pytest.mark.parametrize('width', [1280, 400])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_in_a_browser(workdir, width, scheme):
  """Nothing is asked for or sticks out; curves are drawn; the slider moves."""
  with opened((workdir / 'report.html').as_uri(), width, scheme) as (
    it,
    trouble,
  ):
    assert [x for x in trouble if not x.startswith(('data:', 'file:'))] == []
    wide = it.evaluate('document.documentElement.scrollWidth')
    assert wide == width
    assert it.locator('.chart svg path').count() >= 8
    shown = it.locator('.slider img.shown')
    assert shown.get_attribute('alt') == 'the end, step 12'
    it.locator('.slider input').fill('0')
    assert shown.get_attribute('alt') == 'step 4'
    assert it.locator('.slider output').text_content() == 'step 4'
    ground = it.evaluate('getComputedStyle(document.body).backgroundColor')
    assert (ground == 'rgb(255, 255, 255)') == (scheme == 'light')
    it.locator('.chart svg').first.hover(position={'x': 150, 'y': 60})
    assert 'at ' in it.locator('.chart .key').first.text_content()
