/** Drivers of others: netavark's plugins (plugin-API.md), executables that are called as the driver is. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { isOurDriver } from "./driver.ts";
import { isObject, type Join, type Request } from "./input.ts";
import type { Status } from "./status.ts";

/** The plugin of a network whose driver is none of ours, in the first directory that has it; undefined where none has. */
export function foreignDriver(
  { network: { driver } }: Join,
  directories: readonly string[],
): string | undefined {
  if (isOurDriver(driver) || /\/|^\.{0,2}$/.test(driver)) return undefined;
  return directories.map(directory => join(directory, driver)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function setUpByPlugin(plugin: string, netns: string, request: Request, one: Join): Status {
  const answer = run(plugin, "setup", netns, request, one);
  if (!isObject(answer) || !isObject(answer.interfaces))
    throw new UserError(`plugin ${plugin} told of no interfaces`);
  return answer as unknown as Status;
}

export function tearDownByPlugin(plugin: string, netns: string, request: Request, one: Join): void {
  run(plugin, "teardown", netns, request, one);
}

/** Runs a plugin's verb for one network; what it printed. Throws in the plugin's own words. */
function run(
  plugin: string,
  verb: string,
  netns: string,
  { container_id, container_name, ports }: Request,
  { source }: Join,
): unknown {
  const request = { container_id, container_name, port_mappings: ports, ...source };
  const { exitCode, stdout } = Bun.spawnSync([plugin, verb, netns], {
    stdin: Buffer.from(JSON.stringify(request)),
    stdout: "pipe",
    stderr: "inherit",
  });
  const answer = parsed(stdout.toString());
  if (isObject(answer) && typeof answer.error === "string")
    throw new UserError(`plugin ${plugin} failed: ${answer.error}`);
  if (exitCode !== 0) throw new UserError(`plugin ${plugin} failed with exit code ${exitCode}`);
  return answer;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
