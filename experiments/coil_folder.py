"""A folder of COIL-20 with poses, to train what has a third dimension on.

  python experiments/coil_folder.py --coil=coil20.zip --out=OUT
  python run.py --config=configs/hologan_coil.py --config.data.dir=OUT

The ZIP has objK__A.png: 20 objects, 72 views of each, 5 degrees apart. OUT gets
train/ and test/, a folder for each object in both, and poses.csv. Held out are
views, so many in a hundred, never two in a row of one object's.

Reference:
  Nene, Nayar and Murase, Columbia Object Image Library (COIL-20), technical
  report CUCS-005-96. For research alone.
"""

import pathlib
import re
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from experiments import common
from gan_jax.storage.files import atomic
from gan_jax.types import InputError

STEP = 5  # degrees


def experiment(out: pathlib.Path, coil: str, every: int) -> None:
  """Writes the folder."""
  rows, counts = ['image,azimuth,elevation'], {'train': 0, 'test': 0}
  try:
    archive = zipfile.ZipFile(pathlib.Path(coil).expanduser())
  except (OSError, zipfile.BadZipFile) as error:
    raise InputError(f'--coil: cannot read {coil!r}: {error}') from None
  with archive:
    for name in sorted(archive.namelist()):
      found = re.fullmatch(r'(?:.*/)?obj(\d+)__(\d+)\.png', name)
      if not found:
        continue
      thing, view = map(int, found.groups())
      split = 'test' if (view + thing) % every == 0 else 'train'
      file = f'{split}/object_{thing:02d}/{view:02d}.png'
      path = out / file
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(archive.read(name))
      rows.append(f'{file},{STEP * view},0')
      counts[split] += 1
  if not counts['train']:
    raise InputError(f'--coil: {coil} has no objK__A.png')
  with atomic(out / 'poses.csv') as temporary:
    temporary.write_text('\n'.join(rows) + '\n')
  print(
    f'{counts["train"]} views to train on, {counts["test"]} held out: {out}'
  )


if __name__ == '__main__':
  common.run(
    experiment,
    __doc__,
    coil=('', 'coil20.zip'),
    every=(9, 'one view in so many is held out'),
  )
