/** firewalld, asked through firewall-cmd(1): which zone the packets of an address belong to, until it is restarted. */
import { UserError } from "../base/errors.ts";

const SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

function run(...words: string[]): { ok: boolean; error: string } {
  const path = Bun.which("firewall-cmd", { PATH: `${process.env.PATH ?? ""}:${SYSTEM_PATH}` });
  if (!path) return { ok: false, error: "firewall-cmd is not there" };
  const child = Bun.spawnSync([path, ...words], { stdout: "pipe", stderr: "pipe" });
  const said = [child.stderr, child.stdout].map(one => one.toString().trim()).find(Boolean);
  // Python's own warnings come before what firewall-cmd has to say.
  const last = said
    ?.split("\n")
    .at(-1)
    ?.replace(/^Error: /, "");
  return { ok: child.exitCode === 0, error: last ?? `exit code ${child.exitCode}` };
}

/** Why firewalld can't be asked; undefined where it runs. */
export function firewalldTrouble(): string | undefined {
  const { ok, error } = run("--state");
  return ok ? undefined : error;
}

/** Puts an address (`10.88.0.5/32`) into a zone. */
export function addSource(zone: string, source: string): void {
  const { ok, error } = run(`--zone=${zone}`, `--add-source=${source}`);
  if (!ok)
    throw new UserError(`failed to add the address ${source} to ${zone} zone: ${error}`, {
      hint: "the configuration asks for the backend firewalld, which must run",
    });
}

/** Takes it out again; quiet where it is not in, or nobody is there to ask. */
export const removeSource = (zone: string, source: string): void =>
  void run(`--zone=${zone}`, `--remove-source=${source}`);

export const hasSource = (zone: string, source: string): boolean =>
  run(`--zone=${zone}`, `--query-source=${source}`).ok;
