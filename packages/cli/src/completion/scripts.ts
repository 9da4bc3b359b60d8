/** Shells that can complete `forge`. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A shell that can complete `forge`. */
export type Shell = (typeof SHELLS)[number];

const BASH = `# forge completion for bash: eval "$(forge completion bash)"
_forge_complete() {
  local IFS=$'\\n' line="\${COMP_LINE:0:COMP_POINT}"
  local -a words
  IFS=' ' read -r -a words <<< "$line"
  [[ "$line" == *' ' ]] && words+=('')
  COMPREPLY=($(forge __complete -- "\${words[@]:1}" 2>/dev/null))
}
complete -o default -F _forge_complete forge
`;

const ZSH = `#compdef forge
# forge completion for zsh: eval "$(forge completion zsh)"
_forge() {
  local -a candidates
  candidates=("\${(@f)$(forge __complete -- "\${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -- "\${candidates[@]}"; else _files; fi
}
compdef _forge forge
`;

const FISH = `# forge completion for fish: forge completion fish | source
function __forge_complete
    set -l words (commandline -opc) (commandline -ct)
    forge __complete -- $words[2..-1] 2>/dev/null
end
complete -c forge -a '(__forge_complete)'
`;

/** The script that makes a shell ask `forge` for candidates. */
export function completionScript(shell: Shell): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}
