"""What a command does: one file per `--mode`, with a function of its name.

This file imports none of them, so that help and mistakes come at once.
"""

MODES = {
  'train': 'train, or go on where the run in --workdir has stopped',
  'sample': 'draw images: a grid and an array, or single files',
  'interpolate': 'walk from latent to latent: a strip and two GIFs',
  'translate': 'make images of a folder of others: --config.translate.dir=DIR',
  'orbit': 'go around what a 3-D run makes: a strip and a GIF',
  'guide': 'move images towards a text: --config.guide.prompt=TEXT',
  'edit': 'change one thing about images: --config.edit.direction=NAME',
  'invert': 'find what draws given images: --config.invert.dir=DIR',
  'upscale': 'enlarge images of a folder: --config.upscale.dir=DIR',
  'evaluate': 'score a run, with how it was measured',
  'diagnose': 'say what is wrong with a run, if anything',
  'compare': 'set evaluated runs side by side: --mode=compare RUN RUN:2 ...',
  'export': 'a generator that runs without this project, with a model card',
  'explore': 'a local page with sliders: --config.explore.port=8080',
  'search': 'find better keys: --config.search.space=JSON or FILE',
  'report': 'write report.html anew: verdict, scores, curves, pictures',
  'replay': 'repeat a step that was not finite',
}
TAKE_OUT = (
  'sample',
  'interpolate',
  'translate',
  'orbit',
  'guide',
  'edit',
  'invert',
  'upscale',
  'export',
)  # those that can write elsewhere
