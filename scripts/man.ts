/**
 * The man pages, `dist/man/man1/portolan*.1`, and the shells' completions, `dist/completions`, from the commands' own tables.
 * A verb that stands in two places has one page, and a `.so` line in the other's (man(7)).
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../package.json";
import type { Command, Entry } from "../src/cli/command.ts";
import { COMMANDS } from "../src/cli/commands.ts";
import type { Flag } from "../src/cli/flags.ts";
import { GLOBAL_FLAGS, HELP } from "../src/cli/program.ts";
import { completionScript } from "../src/cli/verbs/completion.ts";
import { giveBack } from "./give-back.ts";
import { EXAMPLES } from "./man-examples.ts";

/** The day of the build, or that of SOURCE_DATE_EPOCH, for builds that are to be the same. */
const epoch = process.env.SOURCE_DATE_EPOCH;
const DATE = new Date(epoch ? Number(epoch) * 1000 : Date.now()).toISOString().slice(0, 10);

/** Plain text as roff has it: no line of it is a request. */
const roff = (text: string) =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^(?=[.'])/gm, "\\&");
const bold = (text: string) => `\\fB${roff(text)}\\fR`;
const italic = (text: string) => `\\fI${roff(text)}\\fR`;
const visible = (entries: readonly Entry[]) =>
  entries.filter(entry => !entry.hidden).toSorted((a, b) => (a.name < b.name ? -1 : 1));
const oneLine = (text: string) => text.split("\n")[0]!;

/** A reference's title line and its NAME section. */
const head = (page: string, summary: string) =>
  `.TH ${page.toUpperCase()} 1 "${DATE}" "portolan ${version}" "Portolan"\n.SH NAME\n${roff(page)} \\- ${roff(oneLine(summary))}\n`;

function options(flags: readonly Flag[], title = "OPTIONS"): string {
  const shown = flags.filter(flag => !flag.hidden).toSorted((a, b) => (a.long < b.long ? -1 : 1));
  const entries = shown.map(flag => {
    const names = [
      flag.short && `-${flag.short}`,
      `--${flag.long}`,
      ...(flag.aliases ?? []).map(one => `--${one}`),
    ];
    const value = flag.kind === "bool" ? "" : `=${italic(flag.metavar ?? VALUES[flag.kind])}`;
    const list = names.flatMap(name => (name ? [bold(name)] : [])).join(", ");
    const often = flag.kind === "array" || flag.kind === "slice" ? " May be given several times." : "";
    return `.TP\n${list}${value}\n${roff(sentence(flag.help))}${often}\n`;
  });
  return `.SH ${title}\n${entries.join("")}`;
}
const VALUES = {
  string: "string",
  int: "number",
  float: "number",
  array: "value",
  slice: "value[,value]",
} as const;
const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Exit codes: those of containers where the verb gives them on. */
function exitStatus(command: Command): string {
  const entry = (code: string, what: string) => `.TP\n${code}\n${what}\n`;
  const passes = /COMMAND/.test(command.usage);
  return [
    ".SH EXIT STATUS\n",
    entry(bold("0"), "Done."),
    passes ? "" : entry(bold("1"), "Some of it could not be done, or is not there."),
    entry(bold("125"), "What was asked could not be done, or was not understood; one line says why."),
    passes ? entry(bold("126"), "The command can't be executed, or what it needs can't be had.") : "",
    passes ? entry(bold("127"), "The command is not there.") : "",
    passes ? entry(italic("other"), "The exit code of the command.") : "",
  ].join("");
}

function examples(page: string): string {
  const shown = EXAMPLES[page];
  if (!shown) return "";
  const blocks = shown.map(([what, command]) => {
    const lines = command.split("\n").map(line => `$ ${roff(line)}`);
    return `.PP\n${roff(what)}\n.PP\n.RS 4\n.nf\n${lines.join("\n")}\n.fi\n.RE\n`;
  });
  // A heading needs no paragraph's beginning after it.
  return `.SH EXAMPLES\n${blocks.join("").replace(/^\.PP\n/, "")}`;
}

const also = (pages: readonly string[]) =>
  `.SH SEE ALSO\n${pages.map(page => `${bold(page)}(${page === "containers.conf" ? 5 : 1})`).join(",\n")}\n`;

function verbPage(page: string, path: string, noun: string | undefined, command: Command): string {
  const [first, ...more] = command.summary.split("\n");
  const help = command.flags.some(flag => flag.short === "h") ? HELP : { ...HELP, short: "h" };
  const paragraphs = more.map(line => line.trim()).filter(Boolean);
  const description = [sentence(first!), ...paragraphs].map(roff).join("\n");
  const ended =
    command.interspersed === false
      ? "\nOptions end at the first argument; what follows is the container's.\n"
      : "\n";
  return [
    head(page, command.summary),
    `.SH SYNOPSIS\n${bold(path)} ${roff(command.usage)}\n`,
    `.SH DESCRIPTION\n${description}${ended}`,
    options([...command.flags, help]),
    exitStatus(command),
    examples(page),
    also(["portolan", ...(noun ? [noun] : []), "containers.conf"]),
  ].join("");
}

function nounPage(
  page: string,
  path: string,
  summary: string,
  entries: readonly Entry[],
  more: string,
): string {
  const rows = visible(entries).map(
    entry => `.TP\n${bold(`${page}-${entry.name}`)}(1)\n${roff(sentence(oneLine(entry.summary)))}\n`,
  );
  return [
    head(page, summary),
    `.SH SYNOPSIS\n${bold(path)} ${page === "portolan" ? "[options] " : ""}${italic("command")}\n`,
    `.SH DESCRIPTION\n${roff(sentence(summary))}\n`,
    `.SH COMMANDS\n${rows.join("")}`,
    more,
    also(page === "portolan" ? ["podman", "containers.conf"] : ["portolan"]),
  ].join("");
}

/** Every page, by its file's name. */
export async function manPages(): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  const written = new Map<Command, string>();
  const visit = async (entries: readonly Entry[], page: string, path: string, noun?: string) => {
    // Verbs first: what stands at the top has its page there.
    const order = visible(entries).toSorted((a, b) => Number("verbs" in a) - Number("verbs" in b));
    for (const entry of order) {
      const [name, called] = [`${page}-${entry.name}`, `${path} ${entry.name}`];
      if ("verbs" in entry) {
        pages.set(`${name}.1`, nounPage(name, called, entry.summary, entry.verbs, ""));
        await visit(entry.verbs, name, called, name);
        continue;
      }
      const command = await entry.load();
      const first = written.get(command);
      pages.set(`${name}.1`, first ? `.so man1/${first}.1\n` : verbPage(name, called, noun, command));
      if (!first) written.set(command, name);
    }
  };
  await visit(COMMANDS, "portolan", "portolan");
  const summary = "Manage containers, their images and their networks";
  pages.set("portolan.1", nounPage("portolan", "portolan", summary, COMMANDS, options(GLOBAL_FLAGS)));
  return pages;
}

if (import.meta.main) {
  const directory = "dist/man/man1";
  rmSync("dist/man", { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const pages = await manPages();
  for (const [name, text] of pages) writeFileSync(join(directory, name), text);
  const completions = "dist/completions";
  mkdirSync(completions, { recursive: true });
  for (const [shell, file] of [
    ["bash", "portolan"],
    ["zsh", "_portolan"],
    ["fish", "portolan.fish"],
  ] as const)
    writeFileSync(join(completions, file), completionScript(shell));
  giveBack("dist", "dist/man", directory, completions);
  console.log(`${directory}: ${pages.size} pages`);
}
