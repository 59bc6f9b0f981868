/** Foreign plugins: found on CNI_PATH, executed as the specification says (§2, §4). */
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { BugError, errorText, hasCode, UserError } from "../base/errors.ts";
import { CNI_ERROR, CniError } from "./types.ts";

export interface Invocation {
  command: "ADD" | "DEL" | "CHECK" | "GC" | "STATUS" | "VERSION";
  containerId: string;
  netns: string;
  ifName: string;
  /** CNI_ARGS, `K=V;K=V`. */
  args: string;
  path: readonly string[];
}

/** The executable of a plugin type; CniError where no directory of the path has it. */
export function findPlugin(type: string, path: readonly string[]): string {
  if (type.includes("/")) throw new CniError(CNI_ERROR.INTERNAL, `invalid plugin name: ${type}`);
  for (const directory of path) {
    const file = join(directory, type);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {}
  }
  throw new CniError(
    CNI_ERROR.INTERNAL,
    `failed to find plugin ${JSON.stringify(type)} in path [${path.join(" ")}]`,
  );
}

/** Whether a directory of the path has an executable of that type. */
export function hasPlugin(type: string, path: readonly string[]): boolean {
  try {
    findPlugin(type, path);
    return true;
  } catch {
    return false;
  }
}

/** In libcni's words (api.go). */
const VERBS = {
  ADD: "add",
  DEL: "delete",
  CHECK: "check",
  GC: "gc",
  STATUS: "status",
};

/**
 * Does what a plugin is to do; what it throws says which plugin could not do what, as libcni says it. A UserError is one
 * line for a person already.
 */
export async function named<T>(
  type: string,
  command: keyof typeof VERBS,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError || error instanceof BugError) throw error;
    const about = `plugin type=${JSON.stringify(type)} failed (${VERBS[command]})`;
    if (error instanceof CniError)
      throw new CniError(error.code, `${about}: ${error.msg}`, error.details, { cause: error });
    throw new CniError(CNI_ERROR.INTERNAL, `${about}: ${errorText(error)}`, "", { cause: error });
  }
}

/**
 * Runs a plugin as libcni does, with `input` (`input.ts`) on its standard input; what it printed as JSON, or undefined for
 * nothing. Its error object becomes a CniError.
 */
export async function execPlugin(type: string, input: string, invocation: Invocation): Promise<unknown> {
  const file = findPlugin(type, invocation.path);
  const env = {
    ...process.env,
    CNI_COMMAND: invocation.command,
    CNI_CONTAINERID: invocation.containerId,
    CNI_NETNS: invocation.netns,
    CNI_IFNAME: invocation.ifName,
    CNI_ARGS: invocation.args,
    CNI_PATH: invocation.path.join(":"),
  };
  return execute(file, env, new TextEncoder().encode(input));
}

const ATTEMPTS_WHILE_BUSY = 5;

/** Runs an executable with these variables and bytes. Throws the error that it printed, as it printed it. */
export async function execute(
  file: string,
  env: Record<string, string | undefined>,
  stdin: Uint8Array,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      const child = Bun.spawn([file], { env, stdin, stdout: "pipe", stderr: "pipe" });
      const [out, err, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      if (code === 0) return out.trim() === "" ? undefined : decode(out);
      throw failure(out, err, code);
    } catch (error) {
      // A plugin that is just being installed is still open for writing.
      if (!hasCode(error, "ETXTBSY") || attempt >= ATTEMPTS_WHILE_BUSY) throw error;
      await Bun.sleep(1000);
    }
  }
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CniError(CNI_ERROR.DECODE, "it answered with something that is no JSON");
  }
}

function failure(out: string, err: string, code: number): CniError {
  if (out.trim() === "")
    return new CniError(
      CNI_ERROR.INTERNAL,
      err.trim()
        ? `netplugin failed: ${JSON.stringify(err.trim())}`
        : `netplugin failed with no error message: exit status ${code}`,
    );
  const said = decode(out) as { code?: number; msg?: string; details?: string } | null;
  return new CniError(said?.code ?? CNI_ERROR.INTERNAL, said?.msg ?? "no message", said?.details);
}
