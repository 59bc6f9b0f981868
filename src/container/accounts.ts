/**
 * passwd(5) and group(5) of a container whose user or group, given by number, its image does not know; and the caller's own
 * entries where `--userns=keep-id` takes him along.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerConfig } from "./config.ts";
import { resolveInRoot, type UserIds } from "./user.ts";

const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** Does a line of `text` have this number in its third field? */
const knows = (text: string, id: number) => text.split("\n").some(line => line.split(":")[2] === String(id));

/** Writes what is to be bound over the image's files into `run`; gives pairs of destination and source. */
export function writeAccounts(
  rootfs: string,
  run: string,
  config: ContainerConfig,
  user: UserIds,
): [string, string][] {
  const [name = "", group] = config.user.split(":", 2);
  const files = new Map<string, string>();
  const add = (file: string, id: number, line: string) => {
    const host = resolveInRoot(rootfs, `/etc/${file}`);
    const text = files.get(file) ?? read(host);
    // Without such a file the image has no use for names.
    if (!existsSync(host) || knows(text, id)) return;
    files.set(file, `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${line}\n`);
  };
  const { keepId, workdir } = config;
  if (keepId?.name) {
    const { uid, gid, fullName } = keepId;
    add("passwd", uid, `${keepId.name}:*:${uid}:${gid}:${fullName}:${workdir}:/bin/sh`);
    add("group", gid, `${keepId.name}:x:${gid}:${keepId.name}`);
  }
  if (/^\d+$/.test(name))
    add("passwd", user.uid, `${user.uid}:*:${user.uid}:${user.gid}:container user:${config.workdir}:/bin/sh`);
  if (group !== undefined && /^\d+$/.test(group)) add("group", user.gid, `${user.gid}:x:${user.gid}:${name}`);
  return [...files].map(([file, text]) => {
    const path = join(run, file);
    writeFileSync(path, text);
    return [`/etc/${file}`, path];
  });
}
