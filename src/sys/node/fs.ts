/**
 * `node:fs` as the executable has it (`scripts/build.ts` puts this file in its place): what Portolan calls of it, synchronous,
 * straight from the C library. The runtime's own takes 1.4 ms to load, a quarter of a short command; what is done here does
 * as that one does, to the word of an error (`fs.test.ts`). What is asked for seldom, in rare forms or of odd
 * paths the runtime's still does, and is loaded for it.
 */
import { O } from "../fd.ts";
import { runtimes } from "./call.ts";

export { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "./file.ts";
export {
  accessSync,
  chmodSync,
  chownSync,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "./tree.ts";

export const constants = {
  F_OK: 0,
  X_OK: 1,
  W_OK: 2,
  R_OK: 4,
  O_RDONLY: O.RDONLY,
  O_WRONLY: O.WRONLY,
  O_RDWR: O.RDWR,
  O_CREAT: O.CREAT,
  O_EXCL: O.EXCL,
  O_TRUNC: O.TRUNC,
  O_APPEND: O.APPEND,
  O_NONBLOCK: O.NONBLOCK,
  O_NOFOLLOW: O.NOFOLLOW,
  O_DIRECTORY: O.DIRECTORY,
  COPYFILE_EXCL: 1,
  COPYFILE_FICLONE: 2,
  COPYFILE_FICLONE_FORCE: 4,
} as const;

type Fs = typeof import("node:fs");

/** The function of the runtime's own module. */
const runtimesOwn = <Name extends keyof Fs>(name: Name) =>
  ((...words: unknown[]) => (runtimes()[name] as (...words: unknown[]) => unknown)(...words)) as Fs[Name];

export const copyFileSync = runtimesOwn("copyFileSync");
export const createReadStream = runtimesOwn("createReadStream");
export const createWriteStream = runtimesOwn("createWriteStream");
export const globSync = runtimesOwn("globSync");
export const mkdtempSync = runtimesOwn("mkdtempSync");
export const read = runtimesOwn("read");
export const realpathSync = runtimesOwn("realpathSync");
