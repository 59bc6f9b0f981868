/**
 * `node:path` as the executable has it (`scripts/build.ts` puts this file in its place): paths of Linux, for which the
 * runtime's own takes a third of a millisecond to load.
 */

/** The parts without `.` and empty ones, `..` taken back where there is something to go back from. */
function resolved(parts: readonly string[], isRooted: boolean): string[] {
  const kept: string[] = [];
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!isRooted) kept.push("..");
  }
  return kept;
}

export const isAbsolute = (path: string): boolean => path.startsWith("/");

export function normalize(path: string): string {
  if (path === "") return ".";
  const isRooted = isAbsolute(path);
  const inner = resolved(path.split("/"), isRooted).join("/");
  const end = path.endsWith("/") && inner !== "" ? "/" : "";
  if (isRooted) return `/${inner}${end}`;
  return inner === "" ? (path.endsWith("/") ? "./" : ".") : `${inner}${end}`;
}

export function join(...paths: string[]): string {
  return normalize(paths.filter(path => path !== "").join("/"));
}

export function resolve(...paths: string[]): string {
  let whole = "";
  for (let index = paths.length - 1; index >= 0 && !isAbsolute(whole); index--)
    if (paths[index] !== "") whole = whole === "" ? paths[index]! : `${paths[index]}/${whole}`;
  if (!isAbsolute(whole)) whole = `${process.cwd()}/${whole}`;
  return `/${resolved(whole.split("/"), true).join("/")}`;
}

/** Where the last part begins and ends; slashes after it do not count. */
function lastPart(path: string): [number, number] {
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  return end === 0 ? [0, 0] : [path.lastIndexOf("/", end - 1) + 1, end];
}

export function dirname(path: string): string {
  const slash = lastPart(path)[0] - 1;
  if (slash <= 0) return isAbsolute(path) ? "/" : ".";
  return slash === 1 && isAbsolute(path) ? "//" : path.slice(0, slash);
}

export function basename(path: string, suffix = ""): string {
  if (suffix !== "" && suffix === path) return "";
  const [start, end] = lastPart(path);
  const name = path.slice(start, end);
  return name !== suffix && suffix !== "" && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}

export function extname(path: string): string {
  const name = basename(path);
  const dot = name.lastIndexOf(".");
  return dot <= 0 || name === ".." ? "" : name.slice(dot);
}

export function relative(from: string, to: string): string {
  const [start, end] = [from, to].map(path => resolve(path).split("/").filter(Boolean)) as [
    string[],
    string[],
  ];
  let same = 0;
  while (same < start.length && start[same] === end[same]) same++;
  return [...start.slice(same).map(() => ".."), ...end.slice(same)].join("/");
}

export const posix = { basename, dirname, extname, isAbsolute, join, normalize, relative, resolve };
