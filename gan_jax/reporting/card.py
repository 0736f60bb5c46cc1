"""The model card of an export: README.md as Hugging Face reads it.

Reference:
  Mitchell et al., Model Cards for Model Reporting, arXiv 1810.03993.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gan_jax.config import defaults, references
from gan_jax.evaluation import protocol
from gan_jax.evaluation.report import figure
from gan_jax.sampling.weights import WEIGHTS
from gan_jax.workdir import layout

Manifest = Mapping[str, Any]
# Sections that the card has elsewhere, or that shape no run.
_ASIDE = {'search', 'export', 'explore', 'sample', 'data'}
_TAGS = ['gan', 'jax', 'flax', 'image-generation']


def card(manifest: Manifest, fields: Mapping[str, Any]) -> str:
  """The text of README.md.

  Args:
    manifest: of the export.
    fields: of the run's config, nested.
  """
  parts = [
    _front(manifest),
    f'# {manifest["name"]}\n\n{_about(manifest)}\n\n![What it draws]'
    '(samples.png)',
    '## Use it with JAX alone\n\n`pip install jax flatbuffers`, the second of '
    f'which JAX reads programs with.\n\n{use(manifest)}',
    '## Use it with gan_jax\n\n```python\nimport gan_jax\n\n'
    "run = gan_jax.load('.')\nimages = run.sample(16, seed=0)\n```",
    f'## What it takes\n\n{_inputs(manifest)}',
    f'## Data\n\n{_data(manifest)}',
    f'## Training\n\n{_training(manifest, fields)}',
    f'## Scores\n\n{_scores(manifest)}',
    f'## Limits\n\n{_limits(manifest)}',
    f'## Papers\n\n{_papers(fields)}',
  ]
  return '\n\n'.join(parts) + '\n'


def use(manifest: Manifest) -> str:
  """The program that draws images without gan_jax."""
  more = ''
  for argument in manifest['inputs'][1:]:
    shape = ', '.join(map(str, (16, *argument['shape'])))
    if argument['name'] == 'labels':
      more += f', np.arange(16, dtype=np.int32) % {len(manifest["classes"])}'
    else:
      more += f', np.zeros(({shape}), np.{argument["dtype"]})'
  return (
    '```python\nimport numpy as np\nfrom jax import export\n\n'
    "draw = export.deserialize(open('generator.jax', 'rb').read()).call\n"
    "latents = export.deserialize(open('latents.jax', 'rb').read()).call\n"
    'z = latents(np.uint32(0), np.arange(16, dtype=np.int32))  # of seed 0\n'
    f'images = draw(z{more})  # uint8 [16, H, W, C]\n```'
  )


def _front(manifest: Manifest) -> str:
  """YAML, written as JSON values, which are YAML too."""
  metrics = [
    {'type': name, 'value': entry['value'], 'name': name}
    for name, entry in (manifest.get('scores') or {}).items()
  ]
  keys: dict[str, Any] = {
    'license': manifest['license'],
    'library_name': 'gan_jax',
    'pipeline_tag': 'unconditional-image-generation',
    'tags': [*_TAGS, manifest['network']],
    'datasets': [manifest['data']['name']],
  }
  if manifest['license'] == 'other':
    keys['license_name'] = 'not-stated'
  if metrics:
    task = {'type': 'unconditional-image-generation'}
    data = manifest['data']['name']
    result = {'task': task, 'dataset': {'name': data, 'type': data}}
    index = {
      'name': manifest['name'],
      'results': [result | {'metrics': metrics}],
    }
    keys['model-index'] = [index]
  lines = [f'{key}: {json.dumps(value)}' for key, value in keys.items()]
  return '\n'.join(['---', *lines, '---'])


def _about(manifest: Manifest) -> str:
  shape = ' x '.join(map(str, manifest['outputs'][0]['shape']))
  classes = manifest['classes']
  told = f' of {len(classes)} classes' * bool(classes)
  return (
    f'A generator ({manifest["network"]}) of images of {shape}{told}, trained '
    f'on {manifest["data"]["name"]} for {manifest["step"]:,} steps with '
    f'gan_jax. It has {manifest["num_parameters"]:,} numbers '
    f'({WEIGHTS[manifest["weights"]]}).'
  )


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  lines = [heads, ['---'] * len(heads), *rows]
  return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def _shape(each: Mapping[str, Any]) -> str:
  return f'[{", ".join(map(str, ("b", *each["shape"])))}]'


def _inputs(manifest: Manifest) -> str:
  rows = [
    (each['name'], _shape(each), each['dtype'], each['about'])
    for each in (*manifest['inputs'], *manifest['outputs'])
  ]
  text = _table(('name', 'shape', 'type', 'what it is'), rows)
  classes = manifest['classes']
  if classes:
    names = (' '.join(str(name).split()) for name in classes)
    listed = ', '.join(f'{i}: {name}' for i, name in enumerate(names))
    text += f'\n\nClasses: {listed}.'
  return (
    f'{text}\n\nAny number b of examples; on '
    f'{", ".join(manifest["platforms"])}. The last row is what comes out.'
  )


def _data(manifest: Manifest) -> str:
  data = manifest['data']
  return (
    f'{data["name"]} {data["version"]}: {data["num_train"]:,} images for '
    f'training. Their licence: {data["license"]}. Licence of these weights: '
    f'{manifest["license"]}.'
  )


def _training(manifest: Manifest, fields: Mapping[str, Any]) -> str:
  flat = {
    key: value
    for key, value in layout.flatten(dict(fields)).items()
    if key.split('.')[0] not in _ASIDE
  }
  changed = defaults.changed(flat)
  rows = [(f'`{key}`', f'`{json.dumps(x)}`') for key, x in changed.items()]
  packages = manifest['packages']
  listed = ', '.join(f'{name} {x}' for name, x in packages.items())
  table = _table(('key', 'value'), rows) if rows else 'All keys: config.json.'
  return (
    f'What differs from the defaults of gan_jax (all keys: config.json):\n\n'
    f'{table}\n\nMade with {listed}; commit {manifest["commit"]}.'
  )


def _scores(manifest: Manifest) -> str:
  scores = manifest.get('scores')
  if not scores:
    return 'It has not been scored.'
  rows = [(name, figure(entry)) for name, entry in scores.items()]
  how = ', '.join(protocol.lines(dict(manifest['protocol'])))
  return (
    f'{_table(("score", "value"), rows)}\n\nMeasured with {how}.\n\nA score '
    'with the name of a network, such as fid_classifier, is on a scale of its '
    'own: never set it beside a published FID.'
  )


def _limits(manifest: Manifest) -> str:
  shape = ' x '.join(map(str, manifest['outputs'][0]['shape']))
  return (
    f'- It draws what its data shows, at {shape}, and nothing else.\n'
    '- It takes over what is unbalanced or wrong in the data.\n'
    '- Images may resemble training images; nearest_train among the scores, '
    'where it is there, says how near they come.\n'
    '- It was made for research; nobody has examined it for other uses.'
  )


def _papers(fields: Mapping[str, Any]) -> str:
  found = references.papers(dict(fields))
  return '\n'.join(f'- {part}: {paper}' for part, paper in found.items())
