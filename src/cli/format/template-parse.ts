/**
 * Go templates (text/template of Go 1.21), read into a tree: actions with trim markers, pipelines, variables, `if`,
 * `with`, `range` with `else`, `break`, `continue`, `define` and `template`, comments.
 */
import { UserError } from "../../base/errors.ts";

export type Expression =
  | { kind: "literal"; value: unknown }
  | { kind: "dot" }
  | { kind: "variable"; name: string }
  | { kind: "function"; name: string }
  | { kind: "field"; base: Expression; name: string; text: string }
  | { kind: "pipe"; pipeline: Pipeline };

/** A function or field with its arguments; what comes down the pipe is one argument more, at the end. */
export type Call = readonly Expression[];

export interface Pipeline {
  calls: Call[];
  variables: string[];
  /** `:=` rather than `=`. */
  declares: boolean;
  line: number;
  text: string;
}

export type Node =
  | { kind: "text"; text: string }
  | { kind: "action"; pipeline: Pipeline }
  | { kind: "if" | "with" | "range"; pipeline: Pipeline; body: Node[]; otherwise: Node[] }
  | { kind: "template"; name: string; pipeline: Pipeline | undefined }
  | { kind: "break" | "continue" };

export interface Template {
  name: string;
  body: Node[];
  defined: Map<string, Node[]>;
}

type Piece = { text: string } | { action: string; line: number };

/** Cuts the source into text and actions; trim markers are applied and comments dropped. */
function split(name: string, source: string): Piece[] {
  const pieces: Piece[] = [];
  const lineAt = (index: number) => source.slice(0, index).split("\n").length;
  let at = 0;
  let trim = false;
  for (;;) {
    const open = source.indexOf("{{", at);
    let text = source.slice(at, open < 0 ? undefined : open);
    if (trim) text = text.replace(/^[ \t\r\n]+/, "");
    if (open < 0) {
      if (text) pieces.push({ text });
      return pieces;
    }
    let start = open + 2;
    if (/^-[ \t\r\n]/.test(source.slice(start, start + 2))) {
      text = text.replace(/[ \t\r\n]+$/, "");
      start += 1;
    }
    if (text) pieces.push({ text });
    const comment = /^\s*\/\*/.test(source.slice(start));
    const close = comment ? source.indexOf("}}", source.indexOf("*/", start)) : endOfAction(source, start);
    if (close < 0)
      throw new UserError(
        `template: ${name}:${lineAt(open)}: ${comment ? "unclosed comment" : "unclosed action"}`,
      );
    let action = source.slice(start, close);
    trim = /[ \t\r\n]-$/.test(action);
    if (trim) action = action.slice(0, -1);
    if (!comment) pieces.push({ action: action.trim(), line: lineAt(open) });
    at = close + 2;
  }
}

/** Where `}}` stands outside strings. */
function endOfAction(source: string, start: number): number {
  for (let at = start; at < source.length; at++) {
    const letter = source[at]!;
    if (letter === '"' || letter === "'") {
      for (at++; at < source.length && source[at] !== letter; at++) if (source[at] === "\\") at++;
    } else if (letter === "`") {
      at = source.indexOf("`", at + 1);
      if (at < 0) return -1;
    } else if (source.startsWith("}}", at)) return at;
  }
  return -1;
}

const TOKEN =
  /\s+|(?<string>"(?:[^"\\\n]|\\.)*")|(?<raw>`[^`]*`)|(?<char>'(?:[^'\\\n]|\\.)+')|(?<number>[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+))|(?<variable>\$[\p{L}\p{N}_]*)|(?<field>\.[\p{L}_][\p{L}\p{N}_]*)|(?<dot>\.)|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<mark>:=|[=|(),])/uy;

interface Token {
  kind: "string" | "raw" | "char" | "number" | "variable" | "field" | "dot" | "word" | "mark";
  text: string;
  /** White space stood before it: `.a.b` is one thing and `.a .b` two. */
  spaced: boolean;
}

class ActionReader {
  #tokens: Token[] = [];
  #at = 0;
  constructor(
    readonly name: string,
    readonly text: string,
    readonly line: number,
    readonly functions: ReadonlySet<string>,
  ) {
    let spaced = true;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const from = TOKEN.lastIndex;
      const match = TOKEN.exec(text);
      if (!match) throw this.error(`unexpected ${JSON.stringify(text.slice(from, from + 1))} in command`);
      const kind = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0];
      if (kind) this.#tokens.push({ kind: kind as Token["kind"], text: match[0], spaced });
      spaced = kind === undefined;
    }
  }

  error(message: string): UserError {
    return new UserError(`template: ${this.name}:${this.line}: ${message}`);
  }
  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }
  peek(): Token | undefined {
    return this.#tokens[this.#at];
  }
  next(): Token | undefined {
    return this.#tokens[this.#at++];
  }
  isMark(text: string): boolean {
    const token = this.peek();
    return token?.kind === "mark" && token.text === text;
  }
  takeWord(text: string): boolean {
    const token = this.peek();
    if (token?.kind !== "word" || token.text !== text) return false;
    this.#at++;
    return true;
  }

  /** A pipeline up to the end of the action or a closing parenthesis; `context` is the word that it is for. */
  pipeline(context = "command"): Pipeline {
    const { variables, declares } = this.#declaration(context === "range");
    const calls: Call[] = [];
    for (;;) {
      const call: Expression[] = [];
      while (!this.done && !this.isMark("|") && !this.isMark(")")) call.push(this.#operand());
      if (call.length === 0) throw this.error(`missing value for ${calls.length > 0 ? "command" : context}`);
      if (call.length > 1 && call[0]!.kind === "literal")
        throw this.error(`can't give argument to non-function ${this.text}`);
      calls.push(call);
      if (!this.isMark("|")) break;
      this.next();
    }
    return { calls, variables, declares, line: this.line, text: this.text };
  }

  #declaration(isRange: boolean): { variables: string[]; declares: boolean } {
    const begin = this.#at;
    const variables: string[] = [];
    while (this.peek()?.kind === "variable") {
      variables.push(this.next()!.text);
      if (isRange && this.isMark(",")) {
        this.next();
        continue;
      }
      if (this.isMark(":=") || this.isMark("=")) return { variables, declares: this.next()!.text === ":=" };
      break;
    }
    this.#at = begin;
    return { variables: [], declares: false };
  }

  #operand(): Expression {
    let expression = this.#term();
    while (this.peek()?.kind === "field" && !this.peek()!.spaced) {
      const { text } = this.next()!;
      expression = { kind: "field", base: expression, name: text.slice(1), text };
    }
    return expression;
  }

  #term(): Expression {
    const token = this.next()!;
    const { kind, text } = token;
    if (kind === "string") return { kind: "literal", value: unquote(text, this) };
    if (kind === "raw") return { kind: "literal", value: text.slice(1, -1) };
    if (kind === "char")
      return { kind: "literal", value: unquote(`"${text.slice(1, -1)}"`, this).codePointAt(0) };
    if (kind === "number") return { kind: "literal", value: Number(text.replace(/^\+/, "")) };
    if (kind === "dot") return { kind: "dot" };
    if (kind === "field") return { kind: "field", base: { kind: "dot" }, name: text.slice(1), text };
    if (kind === "variable") return { kind: "variable", name: text };
    if (kind === "word") {
      if (text === "true" || text === "false") return { kind: "literal", value: text === "true" };
      if (text === "nil") return { kind: "literal", value: null };
      if (!this.functions.has(text)) throw this.error(`function ${JSON.stringify(text)} not defined`);
      return { kind: "function", name: text };
    }
    if (text === "(") {
      const pipeline = this.pipeline();
      if (!this.isMark(")")) throw this.error("unclosed left paren");
      this.next();
      return { kind: "pipe", pipeline };
    }
    throw this.error(`unexpected ${JSON.stringify(text)} in operand`);
  }

  finish(): void {
    if (!this.done) throw this.error(`unexpected ${JSON.stringify(this.peek()!.text)} in command`);
  }
}

function unquote(text: string, reader: ActionReader): string {
  const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };
  return text
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gs, (_, code: string) => {
      if (code in escapes) return escapes[code]!;
      if (`\\"'`.includes(code)) return code;
      if (/^[xuU]/.test(code) && code.length > 1)
        return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
      throw reader.error(`invalid syntax: ${text}`);
    });
}

/** Reads a template; `functions` are the names it may call. Throws a UserError in Go's words. */
export function parseTemplate(name: string, source: string, functions: ReadonlySet<string>): Template {
  const pieces = split(name, source);
  const defined = new Map<string, Node[]>();
  let at = 0;
  let line = 1;

  /** Nodes up to an `else` or `end`, which is left to the caller. */
  const nodes = (depth: number, loops: number): { body: Node[]; end: ActionReader | undefined } => {
    const body: Node[] = [];
    while (at < pieces.length) {
      const piece = pieces[at++]!;
      if ("text" in piece) {
        body.push({ kind: "text", text: piece.text });
        continue;
      }
      line = piece.line;
      const reader = new ActionReader(name, piece.action, piece.line, functions);
      const word = reader.peek();
      if (word === undefined) throw reader.error("missing value for command");
      if (word.kind === "word" && (word.text === "end" || word.text === "else")) {
        if (depth === 0) throw reader.error(`unexpected {{${word.text}}}`);
        return { body, end: reader };
      }
      body.push(...statement(reader, depth, loops));
    }
    return { body, end: undefined };
  };

  const unexpectedEnd = () => new UserError(`template: ${name}:${line}: unexpected EOF`);

  const block = (kind: "if" | "with" | "range", reader: ActionReader, depth: number, loops: number): Node => {
    const pipeline = reader.pipeline(kind);
    reader.finish();
    const first = nodes(depth + 1, loops + (kind === "range" ? 1 : 0));
    if (!first.end) throw unexpectedEnd();
    let otherwise: Node[] = [];
    if (first.end.takeWord("else")) {
      if (!first.end.done) {
        if (first.end.takeWord("if")) otherwise = [block("if", first.end, depth, loops)];
        else if (first.end.takeWord("with")) otherwise = [block("with", first.end, depth, loops)];
        else first.end.finish();
        return { kind, pipeline, body: first.body, otherwise };
      }
      const second = nodes(depth + 1, loops);
      if (!second.end) throw unexpectedEnd();
      if (!second.end.takeWord("end")) throw second.end.error("expected end; found {{else}}");
      second.end.finish();
      otherwise = second.body;
    } else {
      first.end.takeWord("end");
      first.end.finish();
    }
    return { kind, pipeline, body: first.body, otherwise };
  };

  const quoted = (reader: ActionReader, what: string): string => {
    const token = reader.next();
    if (token?.kind === "string") return unquote(token.text, reader);
    if (token?.kind === "raw") return token.text.slice(1, -1);
    throw reader.error(`unexpected ${JSON.stringify(token?.text ?? "end")} in ${what}`);
  };

  const statement = (reader: ActionReader, depth: number, loops: number): Node[] => {
    for (const kind of ["if", "with", "range"] as const)
      if (reader.takeWord(kind)) return [block(kind, reader, depth, loops)];
    for (const kind of ["break", "continue"] as const)
      if (reader.takeWord(kind)) {
        if (loops === 0) throw reader.error(`{{${kind}}} outside {{range}}`);
        reader.finish();
        return [{ kind }];
      }
    if (reader.takeWord("define")) {
      const called = quoted(reader, "define clause");
      reader.finish();
      const { body, end } = nodes(depth + 1, 0);
      if (!end?.takeWord("end")) throw unexpectedEnd();
      defined.set(called, body);
      return [];
    }
    if (reader.takeWord("template")) {
      const called = quoted(reader, "template clause");
      const pipeline = reader.done ? undefined : reader.pipeline();
      reader.finish();
      return [{ kind: "template", name: called, pipeline }];
    }
    const pipeline = reader.pipeline();
    reader.finish();
    return [{ kind: "action", pipeline }];
  };

  const { body } = nodes(0, 0);
  return { name, body, defined };
}
