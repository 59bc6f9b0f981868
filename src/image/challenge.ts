/** What a server wants to see before it answers: the WWW-Authenticate header (RFC 9110, 11.6.1). */

export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Record<string, string>;
}

/** Every challenge of a header; what can't be understood ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const token = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/y;
  const value = /\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z:/-]+))/y;
  const comma = /[\s,]*/y;
  let at = 0;
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    take(comma);
    const word = take(token)?.[1];
    if (word === undefined) return challenges;
    const said = take(value);
    const last = challenges.at(-1);
    if (!said) challenges.push({ scheme: word.toLowerCase(), parameters: Object.create(null) });
    else if (!last) return challenges;
    else last.parameters[word.toLowerCase()] = said[1]?.replace(/\\(.)/g, "$1") ?? said[2]!;
  }
}
