/** Which images a Containerfile asks for (containerfile(5)): those of FROM, of `--from`, and of mounts. */

export interface ContainerfileOptions {
  /** Build arguments by name: they take the place of what an ARG says. */
  args?: ReadonlyMap<string, string>;
  /** What the first FROM is to name instead. */
  from?: string;
  /** Names that mean something else, as stages do. */
  others?: Iterable<string>;
}

/** The references as they are written, variables put in, each once; no stage's name, and not `scratch`. */
export function imagesAskedFor(text: string, options: ContainerfileOptions = {}): string[] {
  const stages = new Set([...(options.others ?? [])].map(one => one.toLowerCase()));
  const found = new Set<string>();
  const global = new Map<string, string>();
  let scope = global;
  let first = options.from;
  const ask = (written: string) => {
    const name = expand(written, scope);
    if (name && name !== "scratch" && !stages.has(name.toLowerCase()) && !/^\d+$/.test(name)) found.add(name);
  };
  for (const { keyword, rest } of instructions(text)) {
    const words = split(rest);
    switch (keyword) {
      case "ARG":
        for (const word of words) {
          const [, name, value] = /^([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
          if (name === undefined) continue;
          const given = options.args?.get(name) ?? (value === undefined ? undefined : expand(value, scope));
          const known = given ?? global.get(name);
          if (known !== undefined) scope.set(name, known);
        }
        break;
      case "FROM": {
        scope = global;
        const [name, as, stage] = words.filter(one => !one.startsWith("--"));
        const asked = first ?? name;
        first = undefined;
        if (asked !== undefined) ask(asked);
        scope = new Map(global);
        if (as?.toUpperCase() === "AS" && stage) stages.add(expand(stage, global).toLowerCase());
        break;
      }
      case "ADD":
      case "COPY":
      case "RUN":
        for (const word of words) {
          if (!word.startsWith("--")) break;
          const option = /^--(from|mount)=(.*)$/s.exec(word);
          if (option?.[1] === "from") ask(option[2]!);
          else if (option)
            for (const part of option[2]!.split(",")) if (part.startsWith("from=")) ask(part.slice(5));
        }
    }
  }
  return [...found];
}

/** Instructions, each on one line; comments may stand between the lines that one goes on over. */
function* instructions(text: string): Generator<{ keyword: string; rest: string }> {
  const mark = /^\s*#\s*escape\s*=\s*`\s*$/im.test(text.split("\n", 1)[0]!) ? "`" : "\\";
  let whole = "";
  for (const line of `${text}\n`.split("\n")) {
    if (/^\s*#/.test(line)) continue;
    const end = line.trimEnd();
    if (end.endsWith(mark)) {
      whole += `${end.slice(0, -1)} `;
      continue;
    }
    const [, keyword, rest] = /^\s*([A-Za-z]+)\s+(.*)$/s.exec(whole + end) ?? [];
    whole = "";
    if (keyword !== undefined) yield { keyword: keyword.toUpperCase(), rest: rest! };
  }
}

/** Words as a shell takes them, their quotes gone. */
function split(text: string): string[] {
  const words = text.match(/(?:"(?:\\.|[^"\\])*"?|'[^']*'?|\\.|[^\s"'])+/gs) ?? [];
  return words.map(word => word.replace(/["']/g, ""));
}

/** `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME:+other}`; a name without a value is "". */
function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_, bare?: string, name?: string, sign?: string, other = "") => {
      const value = values.get(bare ?? name!) ?? "";
      if (sign === "-") return value || expand(other, values);
      if (sign === "+") return value && expand(other, values);
      return value;
    },
  );
}
