"""What a shell completes: flags, keys, names of modes and of configs.

Imports no JAX. The script holds all names, so that a Tab asks nothing.
"""

import pathlib
import types
from collections.abc import Iterable

from gan_jax.config.overrides import dotted
from gan_jax.process.exits import fail

# Flags of run.py, and those whose values are files.
FLAGS = ('config', 'workdir', 'mode', 'out', 'plugin', 'coordinator')
FLAGS += ('num_processes', 'process_id', 'help', 'helpkeys', 'completion')
FILES = ('workdir', 'out', 'plugin')

_BASH = r"""# Completion for bash: source <(gan-jax --completion=bash)
_gan_jax_words='
@WORDS@
'
_gan_jax() {
  local line="${COMP_LINE:0:COMP_POINT}"
  local word="${line##* }"
  local start="${word%"${word##*[=:]}"}" match
  COMPREPLY=()
  case "$word" in
    @FILES@) while IFS= read -r match; do COMPREPLY+=("$match"); done \
      < <(compgen -f -- "${word#*=}"); return ;;
  esac
  while IFS= read -r match; do
    COMPREPLY+=("${match#"$start"}")
  done < <(compgen -W "$_gan_jax_words" -- "$word")
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *= ]]; then
    COMPREPLY[0]+=' '
  fi
}
_gan_jax_python() {
  [[ ${COMP_WORDS[1]} == *run.py ]] && _gan_jax
}
complete -o nospace -o default -F _gan_jax gan-jax run.py ./run.py
for _gan_jax_name in python python3; do
  complete -p "$_gan_jax_name" >/dev/null 2>&1 ||
    complete -o nospace -o default -F _gan_jax_python "$_gan_jax_name"
done
"""

_ZSH = r"""#compdef gan-jax run.py
# Completion for zsh: source <(gan-jax --completion=zsh)
_gan_jax_words=(
@WORDS@
)
_gan_jax() {
  if [[ $PREFIX == (@FILES@) ]]; then
    compset -P '*='
    _files
    return
  fi
  compadd -Q -S '' -- ${(M)_gan_jax_words:#${PREFIX}*}
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }
compdef _gan_jax gan-jax run.py ./run.py
"""
_SCRIPTS = {'bash': _BASH, 'zsh': _ZSH}


def words(modes: Iterable[str], base: types.ModuleType) -> list[str]:
  """Everything that can be completed but files.

  Args:
    modes: their names.
    base: the module of configs/base.py.
  """
  folder = pathlib.Path(base.__file__).parent
  configs = sorted(p.stem for p in folder.glob('[a-z]*.py') if p.stem != 'base')
  found = [f'--config={name}' for name in configs]
  found += [f'--mode={name}' for name in modes]
  found += [f'--{name}' for name in ('help', 'helpkeys')]
  found += [
    f'--{name}='
    for name in FLAGS
    if name not in ('config', 'mode', 'help', 'helpkeys')
  ]
  found += [f'--completion={shell}' for shell in _SCRIPTS]
  keys = dotted(base.get_config())
  for key, value in keys.items():
    if isinstance(value, bool):
      found += [f'--config.{key}={choice}' for choice in (True, False)]
    else:
      found.append(f'--config.{key}=')
  sections = {key.rpartition('.')[0] for key in keys} - {''}
  return found + [f'--helpkeys={section}' for section in sorted(sections)]


def script(shell: str, modes: Iterable[str], base: types.ModuleType) -> str:
  """The script that a shell sources.

  Ends the program if there is none for the shell.

  Args:
    shell: bash or zsh.
    modes: see `words`.
    base: likewise.
  """
  if shell not in _SCRIPTS:
    fail(f'completion: {shell!r} is no shell of these: {", ".join(_SCRIPTS)}')
  files = '|'.join(f'--{name}=*' for name in FILES)
  files += '|--config.*dir=*|--config.*weights=*'
  text = _SCRIPTS[shell].replace('@FILES@', files)
  return text.replace('@WORDS@', '\n'.join(words(modes, base)))
