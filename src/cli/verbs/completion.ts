/** The scripts by which shells ask `portolan __complete` what may stand at the cursor. */
import { writeFileSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { writeOut } from "../../base/stdio.ts";
import { type Command, requireArgs } from "../command.ts";

/**
 * Bash splits words at `=` and `:` too: they are put together again by the line's spaces, and what stands before the last
 * of these characters is not to be inserted a second time. Descriptions are shown only where candidates are listed.
 */
const BASH = (ask: string) => `# bash completion for portolan
_portolan() {
  local line=\${COMP_LINE:0:COMP_POINT} word words=() index
  for ((index = 0; index <= COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if [[ $line =~ ^[[:space:]]+ ]]; then
      line=\${line#"\${BASH_REMATCH[0]}"}
      words+=("")
    elif ((index == 0)); then
      words+=("")
    fi
    [[ $line == "$word"* ]] || word=$line
    line=\${line#"$word"}
    words[\${#words[@]}-1]+=$word
  done
  local current=\${words[\${#words[@]}-1]} directive="" width=0 value about values=() abouts=()
  while IFS=$'\\t' read -r value about; do
    case $value in
    :*) directive=$value ;;
    *)
      values+=("$value")
      abouts+=("$about")
      ((\${#value} > width)) && width=\${#value}
      ;;
    esac
  done < <("$1" ${ask} "\${words[@]:1}" 2>/dev/null)
  local before=""
  [[ $current == *[=:]* ]] && before=\${current%"\${current##*[=:]}"}
  COMPREPLY=()
  for index in "\${!values[@]}"; do
    value=\${values[index]#"$before"}
    if [[ \${#values[@]} -gt 1 && -n \${abouts[index]} && $COMP_TYPE == 63 ]]; then
      printf -v value '%-*s  (%s)' "$width" "$value" "\${abouts[index]}"
    elif [[ $COMP_TYPE != 63 ]]; then
      printf -v value %q "$value"
    fi
    COMPREPLY+=("$value")
  done
  [[ $directive == *open* ]] && compopt -o nospace
  if [[ $directive == *files* ]]; then
    while IFS= read -r value; do
      [[ -d $value ]] && value+=/ && compopt -o nospace
      printf -v value %q "$value"
      COMPREPLY+=("$value")
    done < <(compgen -f -- "\${current##*[=:]}")
  fi
}
complete -F _portolan portolan
`;

const ZSH = (ask: string) => `#compdef portolan
_portolan() {
  local line directive="" value
  local -a values shown
  for line in "\${(@f)$("\${words[1]}" ${ask} "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
    :*) directive=$line ;;
    *$'\\t'*)
      value=\${line%%$'\\t'*}
      values+=("$value")
      shown+=("$value  -- \${line#*$'\\t'}")
      ;;
    *)
      values+=("$line")
      shown+=("$line")
      ;;
    esac
  done
  local -a more
  [[ $directive == *open* ]] && more=(-S '')
  ((\${#values})) && compadd -l -d shown $more -a values
  if [[ $directive == *files* ]]; then
    compset -P '*[=:]'
    _files
  fi
}
if [[ \${funcstack[1]} == _portolan ]]; then _portolan "$@"; else compdef _portolan portolan; fi
`;

const FISH = (ask: string) => `# fish completion for portolan
function __portolan_complete
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l program $words[1]
    for line in ($program ${ask} $words[2..-1] 2>/dev/null)
        if string match -q ':*' -- $line
            string match -q '*files*' -- $line
            and __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c portolan -f -a '(__portolan_complete)'
`;

const SHELLS = { bash: BASH, zsh: ZSH, fish: FISH };

/** What the shell reads; `described` shows what each candidate is. */
export const completionScript = (shell: keyof typeof SHELLS, described = true): string =>
  SHELLS[shell](described ? "__complete" : "__complete-plain");

export const completion: Command = {
  summary: "Generate shell completion scripts",
  usage: "[options] SHELL",
  flags: [
    {
      long: "file",
      short: "f",
      kind: "string",
      help: "Output the completion to file rather than stdout",
      complete: "file",
    },
    { long: "no-desc", kind: "bool", help: "Don't include descriptions in the completion output" },
  ],
  run(invocation) {
    requireArgs(invocation, 1, 1);
    const { flags, args } = invocation;
    const shell = args[0]!;
    if (!(shell === "bash" || shell === "zsh" || shell === "fish"))
      throw new UserError(
        `invalid argument ${JSON.stringify(shell)} for "${invocation.path}": choose bash, zsh or fish`,
      );
    const text = completionScript(shell, !flags.bool("no-desc"));
    const file = flags.string("file");
    if (file === undefined) writeOut(text);
    else writeFileSync(file, text);
    return 0;
  },
};
