import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../../base/errors.ts";
import { goPrintf } from "./go-print.ts";
import { CompiledTemplate } from "./template.ts";

const DATA = {
  Name: "db",
  ID: "0123456789abcdef",
  Empty: "",
  Pid: 42,
  Ratio: 0.5,
  Running: true,
  Args: ["a", "b", "c"],
  None: null,
  Created: "2026-01-02T03:04:05.120Z",
  State: { Status: "running", Health: { Log: [] } },
  Config: { Labels: { b: "2", a: "1" }, Env: ["A=1", "B=2"] },
  Label: (key: string) => `label of ${key}`,
};

const render = (source: string, data: unknown = DATA) => new CompiledTemplate("t", source).execute(data);
const refusal = (source: string) => {
  try {
    render(source);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  throw new Error(`${source} was accepted`);
};

describe("Go templates", () => {
  // What Go 1.21's text/template prints for the same source and data.
  test.each([
    ["plain", "plain"],
    ["{{.Name}}", "db"],
    ["{{ .State.Status }}!", "running!"],
    ["{{.Id}}", "0123456789abcdef"],
    ["{{.Args}}", "[a b c]"],
    ["{{.Config.Labels}}", "map[a:1 b:2]"],
    ["{{.Config.Labels.a}}{{.Config.Labels.nope}}", "1<no value>"],
    ['{{index .Config.Labels "b"}}', "2"],
    ["{{index .Args 1}}", "b"],
    ["{{len .Args}}", "3"],
    ["{{json .Args}}", '["a","b","c"]'],
    ["{{json .State}}", '{"Status":"running","Health":{"Log":[]}}'],
    ['{{join .Args ","}}', "a,b,c"],
    ["{{range .Args}}<{{.}}>{{end}}", "<a><b><c>"],
    ["{{range $i, $a := .Args}}{{$i}}{{$a}} {{end}}", "0a 1b 2c "],
    ["{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"],
    ["{{range .State.Health.Log}}x{{else}}none{{end}}", "none"],
    ['{{range .Args}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"],
    ['{{range .Args}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', "a"],
    ["{{if .Running}}up{{else}}down{{end}}", "up"],
    ["{{if .Empty}}1{{else if .None}}2{{else}}3{{end}}", "3"],
    ["{{if and .Running (gt .Pid 40)}}yes{{end}}", "yes"],
    ["{{or .Empty .Name}}", "db"],
    ["{{not .Running}}", "false"],
    ["{{with .State}}{{.Status}}{{end}}", "running"],
    ["{{with .Empty}}x{{else}}nothing{{end}}", "nothing"],
    ["{{with $x := .Pid}}{{$x}}{{$.Name}}{{end}}", "42db"],
    ['{{printf "%s-%04d-%q-%5.2f|%-4s|" .Name .Pid .Name .Ratio .Name}}', 'db-0042-"db"- 0.50|db  |'],
    ["{{println .Name .Pid}}", "db 42\n"],
    ['{{print 1 2 "x" 3}}', "1 2x3"],
    ['{{.Name | upper | printf "%s!"}}', "DB!"],
    ["a {{- .Name -}} b", "adbb"],
    ["{{/* nothing */}}x", "x"],
    ['{{$n := .Name}}{{$n = "other"}}{{$n}}', "other"],
    ['{{define "T"}}[{{.}}]{{end}}{{template "T" .Name}}', "[db]"],
    ["{{eq .Pid 1 42}}{{ne .Pid 42}}{{lt 1 2}}{{ge 2 2}}", "truefalsetruetrue"],
    ["{{slice .Name 0 1}}{{slice .Args 1}}", "d[b c]"],
    ['{{.Label "x"}}', "label of x"],
    ["{{`raw`}}{{'a'}}", "raw97"],
    ["{{(index .Args 0) | len}}", "1"],
    ['{{truncate .ID 4}}{{pad .Name 1 2}}|{{split "a/b" "/"}}{{title .Name}}', "0123 db  |[a b]Db"],
    ["{{.State.Health}}", "{[]}"],
    ["{{.Created}} {{json .Created}}", '2026-01-02 03:04:05.12 +0000 UTC "2026-01-02T03:04:05.120Z"'],
  ])("%s", (source, expected) => {
    expect(render(source)).toBe(expected);
  });

  test.each([
    ["{{.Name", "template: t:1: unclosed action"],
    ["{{.Nope}}", 'template: t:1: executing "t" at <.Nope>: can\'t evaluate field Nope'],
    ["{{nope}}", 'template: t:1: function "nope" not defined'],
    ["{{if .Name}}", "template: t:1: unexpected EOF"],
    ["{{end}}", "template: t:1: unexpected {{end}}"],
    ["{{break}}", "template: t:1: {{break}} outside {{range}}"],
    [
      "\n{{index .Args 7}}",
      'template: t:2: executing "t" at <index .Args 7>: error calling index: index out of range: 7',
    ],
    ["{{$x}}", 'template: t:1: executing "t" at <$x>: undefined variable "$x"'],
    ["{{}}", "template: t:1: missing value for command"],
    [
      "{{lt .Name 1}}",
      'template: t:1: executing "t" at <lt .Name 1>: error calling lt: incompatible types for comparison',
    ],
    [
      "{{.Name.First}}",
      'template: t:1: executing "t" at <.Name.First>: can\'t evaluate field First in type string',
    ],
  ])("refuses %s", (source, message) => {
    expect(refusal(source)).toBe(message);
  });

  test("printf shows wrong arguments as Go does", () => {
    expect(goPrintf("%d %s", ["x"])).toBe("%!d(string=x) %!s(MISSING)");
    expect(goPrintf("%s", ["x", 1])).toBe("x%!(EXTRA int=1)");
    expect(goPrintf("%5s|%-5s|%05d|%x|%v|%t|100%%", ["ab", "ab", -42, "hi", null, true])).toBe(
      "   ab|ab   |-0042|6869|<nil>|true|100%",
    );
  });

  test("any text is rendered or refused clearly", () => {
    const words = fc.constantFrom(
      "{{",
      "}}",
      ".Name",
      ".",
      "range",
      "if",
      "end",
      "else",
      '"',
      "|",
      "(",
      ")",
      "$x",
      ":=",
      " ",
      "-",
      "len",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words, { maxLength: 12 }).map(list => list.join("")),
        ),
        source => {
          try {
            expect(typeof render(source)).toBe("string");
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
