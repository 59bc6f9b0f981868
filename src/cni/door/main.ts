/** Our executable called as a plugin. Theory: this room's README. */
import { readFileSync } from "node:fs";
import { errorText } from "../../base/errors.ts";
import { writeErr, writeOut } from "../../base/stdio.ts";
import type { Plugin } from "../plugins/plugin.ts";
import { loadPlugin } from "../plugins/table.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { aboutText, versionText } from "./about.ts";
import { checkVersion, readConfiguration } from "./configuration.ts";
import { type Environment, readCall, VERBS } from "./environment.ts";

export interface Answer {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Four spaces, as everybody's plugins print it. */
const json = (value: unknown) => JSON.stringify(value, null, 4);

function inItsTerms(error: unknown): CniError {
  if (error instanceof CniError) return error;
  // The engine's words are about code that the person has not written.
  if (error instanceof TypeError)
    return new CniError(
      CNI_ERROR.DECODE,
      "failed to load netconf: a value has another shape than the plugin's documentation says",
      errorText(error),
    );
  return new CniError(CNI_ERROR.INTERNAL, errorText(error));
}

/** The specification's error object (section 5) for whatever was thrown. */
function refusal(error: unknown): Answer {
  const { code, msg, details } = inItsTerms(error);
  return { exitCode: 1, stdout: json(details ? { code, msg, details } : { code, msg }), stderr: "" };
}

type Perform = typeof import("./call.ts").perform;
const loadPerform = async (): Promise<Perform> => (await import("./call.ts")).perform;

/** What the plugin `name` answers to a call. Never throws: what goes wrong is an error object and exit code 1. */
export async function answer(
  name: string,
  env: Environment,
  readStdin: () => Uint8Array,
  load: (name: string) => Promise<Plugin | undefined> = loadPlugin,
  performs: () => Promise<Perform> = loadPerform,
): Promise<Answer> {
  if (!env.CNI_COMMAND) return { exitCode: 0, stdout: "", stderr: aboutText(name) };
  if (env.CNI_COMMAND === "VERSION") return { exitCode: 0, stdout: versionText(name), stderr: "" };
  try {
    const call = readCall(env);
    const stdin = read(readStdin);
    const configuration = readConfiguration(name, stdin);
    if (!(VERBS as readonly string[]).includes(call.verb))
      throw new CniError(CNI_ERROR.INVALID_ENVIRONMENT, `unknown CNI_COMMAND: ${call.verb}`);
    checkVersion(name, call.verb, configuration.cniVersion);
    const plugin = await load(name);
    if (!plugin) throw new CniError(CNI_ERROR.INTERNAL, `there is no plugin ${JSON.stringify(name)}`);
    const perform = await performs();
    const result = await perform({ name, plugin, call, configuration, env, stdin });
    return { exitCode: 0, stdout: result ? json(result) : "", stderr: "" };
  } catch (error) {
    return refusal(error);
  }
}

function read(readStdin: () => Uint8Array): Uint8Array {
  try {
    return readStdin();
  } catch (error) {
    throw new CniError(CNI_ERROR.IO, `error reading from stdin: ${errorText(error)}`);
  }
}

/** `argv`: words after the plugin's name, which only dhcp has a use for. */
export async function pluginMain(
  name: string,
  argv: readonly string[],
  performs?: () => Promise<Perform>,
): Promise<number> {
  if (name === "dhcp" && argv[0] === "daemon")
    return (await import("../dhcp/daemon.ts")).dhcpDaemonMain(argv.slice(1));
  const { exitCode, stdout, stderr } = await answer(
    name,
    process.env,
    () => readFileSync(0),
    loadPlugin,
    performs,
  );
  writeErr(stderr);
  writeOut(stdout);
  return exitCode;
}
