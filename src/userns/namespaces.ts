/** Making a user and a mount namespace, and the process that holds them. */
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { CATATONIT_DIRECTORIES, findProgram } from "../base/programs.ts";
import type { IdMapping } from "../sys/user-namespace.ts";
import type { Identity } from "./identity.ts";
import { mappings, readSubids } from "./subids.ts";

/** By this variable in a pause process's environment its engine finds it again, should the file be lost that names it. */
const MARK = "PORTOLAN_PAUSE";

const marked = (mark: string) => ({ PATH: "/usr/bin:/bin", [MARK]: mark });

/** The mark of the process `pid`; undefined for one that is no pause process of ours, or none that we may look at. */
export function markOf(pid: number | string): string | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
    return words.find(word => word.startsWith(`${MARK}=`))?.slice(MARK.length + 1);
  } catch {
    return undefined;
  }
}

/** Says that it is there, waits for its map, then becomes the pause process. */
const HOLD = 'echo; read -r _ && exec "$0" -P </dev/null >/dev/null 2>&1';

/** The pid of a new pause process in namespaces of its own, mapped and ready to be joined; known by `mark` (`markOf`). */
export async function makeNamespaces(user: Identity, mark: string): Promise<number> {
  const unshare = need("unshare", "util-linux");
  const catatonit = need("catatonit", "catatonit", CATATONIT_DIRECTORIES);
  const child = Bun.spawn(
    [unshare, "--user", "--mount", "--propagation=slave", "sh", "-c", HOLD, catatonit],
    // A session of its own: the end of a terminal is not its end.
    { cwd: "/", detached: true, env: marked(mark), stdio: ["pipe", "pipe", "pipe"] },
  );
  try {
    const { done } = await child.stdout.getReader().read();
    if (done) throw refused(await child.stderr.text());
    await writeMaps(child.pid, user);
    await child.stdin.write("\n");
    await child.stdin.end();
    // The end of the pipe: it is the pause process now, whose words go nowhere.
    await child.stderr.text();
    child.unref();
    return child.pid;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** The pid of a new pause process in the namespaces that the process `pid` is in; known by `mark`. */
export async function joinNamespaces(pid: number, mark: string): Promise<number> {
  const nsenter = need("nsenter", "util-linux");
  const catatonit = need("catatonit", "catatonit", CATATONIT_DIRECTORIES);
  const child = Bun.spawn(
    [nsenter, `--target=${pid}`, "--user", "--mount", "--preserve-credentials", catatonit, "-P"],
    { cwd: "/", detached: true, env: marked(mark), stdio: ["ignore", "ignore", "ignore"] },
  );
  const target = readlinkSync(`/proc/${pid}/ns/mnt`);
  while (child.exitCode === null && readlinkSync(`/proc/${child.pid}/ns/mnt`) !== target)
    await Bun.sleep(0.2);
  child.unref();
  return child.pid;
}

function need(name: string, debianPackage: string, directories: readonly string[] = []): string {
  const path = findProgram(name, directories);
  if (!path)
    throw new UserError(`can't make a user namespace: ${name} is not installed`, {
      hint: `install the package ${debianPackage}`,
    });
  return path;
}

/** The kernel's refusal, and the knobs that may be behind it. */
function refused(said: string): UserError {
  return new UserError(`can't make a user namespace: ${oneLine(said) || "unshare ended without a word"}`, {
    hint: "look at sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns",
  });
}

/** The user's name, wherever names come from on this machine (nsswitch.conf(5)); the number where he has none. */
function nameOf(uid: number): string {
  const child = Bun.spawnSync(["id", "-un", String(uid)], { stdio: ["ignore", "pipe", "ignore"] });
  return child.stdout.toString().trim() || String(uid);
}

/** All the ids that the user may map; only his own where there are no others, which is said. */
async function writeMaps(pid: number, { uid, gid }: Identity): Promise<void> {
  const user = { name: nameOf(uid), uid };
  const uids = mappings(uid, readSubids("/etc/subuid", user));
  const gids = mappings(gid, readSubids("/etc/subgid", user));
  const programs = [findProgram("newuidmap"), findProgram("newgidmap")];
  if (uids.length > 1 && gids.length > 1 && programs[0] && programs[1]) {
    await writeMap(programs[0], pid, uids);
    await writeMap(programs[1], pid, gids);
    return;
  }
  const why =
    uids.length < 2 || gids.length < 2
      ? `there are no subordinate ids for ${user.name} in /etc/subuid and /etc/subgid`
      : "newuidmap and newgidmap are not installed (package uidmap)";
  log.warn(
    `only your own user and group id are mapped, since ${why}: images with files of other owners, and programs that change users, may not work`,
  );
  writeOwn(pid, uid, gid);
}

async function writeMap(program: string, pid: number, map: readonly IdMapping[]): Promise<void> {
  const words = map.flatMap(one => [one.inside, one.outside, one.count]).map(String);
  const child = Bun.spawn([program, String(pid), ...words], { stdio: ["ignore", "ignore", "pipe"] });
  const [code, said] = await Promise.all([child.exited, child.stderr.text()]);
  if (code !== 0)
    throw new UserError(`can't map your subordinate ids: ${oneLine(said) || `exit code ${code}`}`, {
      hint: `check /etc/subuid and /etc/subgid, and that ${program} is set-user-id root or has the capability`,
    });
}

/** A single id needs nobody's help, but the group list can't be changed any more then (user_namespaces(7)). */
function writeOwn(pid: number, uid: number, gid: number): void {
  try {
    writeFileSync(`/proc/${pid}/setgroups`, "deny");
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  writeFileSync(`/proc/${pid}/uid_map`, `0 ${uid} 1\n`);
  writeFileSync(`/proc/${pid}/gid_map`, `0 ${gid} 1\n`);
}
