/** Users and groups by the container's own files, looked up without leaving its root. */
import { existsSync, lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { UserError } from "../base/errors.ts";

/** The host path of `path` as the container sees it: links are followed inside `root` only. */
export function resolveInRoot(root: string, path: string): string {
  const pending = path.split("/").filter(Boolean);
  let current = "/";
  for (let links = 0; pending.length > 0; ) {
    const part = pending.shift()!;
    const next = normalize(join(current, part));
    const host = join(root, next);
    let isLink = false;
    try {
      isLink = lstatSync(host).isSymbolicLink();
    } catch {
      current = next;
      continue;
    }
    if (!isLink) {
      current = next;
      continue;
    }
    if (++links > 40) throw new UserError(`${path}: too many levels of symbolic links in the container`);
    const target = readlinkSync(host);
    pending.unshift(...target.split("/").filter(Boolean));
    current = target.startsWith("/") ? "/" : dirname(next);
  }
  return join(root, current);
}

interface PasswdLine {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

interface GroupLine {
  name: string;
  gid: number;
  members: string[];
}

function rows(root: string, file: string): string[][] {
  const path = resolveInRoot(root, file);
  if (!existsSync(path) || !lstatSync(path).isFile()) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .map(line => line.split(":"));
}

export function parsePasswd(lines: readonly string[][]): PasswdLine[] {
  return lines.flatMap(([name, , uid, gid, , home]) =>
    name && /^\d+$/.test(uid ?? "") && /^\d+$/.test(gid ?? "")
      ? [{ name, uid: Number(uid), gid: Number(gid), home: home ?? "/" }]
      : [],
  );
}

export function parseGroup(lines: readonly string[][]): GroupLine[] {
  return lines.flatMap(([name, , gid, members]) =>
    name && /^\d+$/.test(gid ?? "")
      ? [{ name, gid: Number(gid), members: (members ?? "").split(",").filter(Boolean) }]
      : [],
  );
}

export interface UserIds {
  uid: number;
  gid: number;
  additionalGids: number[];
  /** "/" where nothing else is known. */
  home: string;
  /** Is there an entry in passwd(5)? */
  known: boolean;
}

/** `""`, `postgres`, `1000`, `1000:1000`, `name:group` by the files in `root`. Throws in Podman's words. */
export function lookupUser(root: string, text: string, groupAdd: readonly string[] = []): UserIds {
  const passwd = parsePasswd(rows(root, "/etc/passwd"));
  const groups = parseGroup(rows(root, "/etc/group"));
  const [userText = "", groupText] = text.split(":", 2);
  const isNumber = /^\d+$/.test(userText);
  const user =
    userText === ""
      ? passwd.find(one => one.uid === 0)
      : (passwd.find(one => one.name === userText) ??
        (isNumber ? passwd.find(one => one.uid === Number(userText)) : undefined));
  if (!user && userText !== "" && !isNumber)
    throw new UserError(`unable to find user ${userText}: no matching entries in passwd file`);
  const group = (name: string) => {
    const found = groups.find(one => one.name === name);
    if (found) return found.gid;
    if (/^\d+$/.test(name)) return Number(name);
    throw new UserError(`unable to find group ${name}: no matching entries in group file`);
  };
  const gid = groupText ? group(groupText) : (user?.gid ?? 0);
  const memberOf =
    user && !groupText ? groups.filter(one => one.members.includes(user.name)).map(one => one.gid) : [];
  return {
    uid: user?.uid ?? (isNumber ? Number(userText) : 0),
    gid,
    additionalGids: [...new Set([...memberOf, ...groupAdd.map(group)])].filter(one => one !== gid),
    home: user?.home || "/",
    known: user !== undefined,
  };
}
