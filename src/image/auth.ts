/**
 * Credentials for registries: containers-auth.json(5), and Docker's config.json, which has the same form.
 *
 * Keys are registries or namespaces of them (`quay.io/team`); the most specific one speaks. The file named by
 * `--authfile` or `$REGISTRY_AUTH_FILE` stands for all others.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorText, hasCode, oneLine, UserError } from "../base/errors.ts";
import { userRunRoot } from "../state/directories.ts";
import { isObject } from "./parse-config.ts";
import { type Reference, repositoryName } from "./reference.ts";

export interface Credentials {
  username: string;
  password: string;
  /** A refresh token of OAuth 2 in place of the password. */
  identityToken?: string;
}

export interface AuthFile {
  auths?: Record<string, { auth?: string | null; identitytoken?: string | null } | null> | null;
  credHelpers?: Record<string, string> | null;
  credsStore?: string | null;
}

/** What is known for the repository; undefined means: ask without a name. Throws UserError for a file that is wrong. */
export function findCredentials(
  reference: Pick<Reference, "registry" | "repository">,
  authFile?: string,
  env: Record<string, string | undefined> = process.env,
): Credentials | undefined {
  const keys = keysOf(reference);
  const named = authFile ?? env.REGISTRY_AUTH_FILE;
  for (const path of named ? [named] : usualFiles(env)) {
    const file = readAuthFile(path, named !== undefined);
    if (!file) continue;
    for (const key of keys) {
      const helper = file.credHelpers?.[key];
      const found = helper ? askHelper(helper, key, env) : fromAuths(file, key, path);
      if (found) return found;
    }
    const found = file.credsStore && askHelper(file.credsStore, reference.registry, env);
    if (found) return found;
  }
  return undefined;
}

/** Where `login` writes: the file that is named, else the first of those that are read. */
export function authFilePath(
  authFile?: string,
  env: Record<string, string | undefined> = process.env,
): string {
  return authFile ?? (env.REGISTRY_AUTH_FILE || usualFiles(env)[0]!);
}

function usualFiles(env: Record<string, string | undefined>): string[] {
  return [
    runtimeFile(env),
    env.HOME && join(env.HOME, ".config/containers/auth.json"),
    env.HOME && join(env.DOCKER_CONFIG ?? join(env.HOME, ".docker"), "config.json"),
  ].filter(path => typeof path === "string" && path !== "") as string[];
}

/** Below the runtime directory. Without one, only root may go into `/run/containers`, where root's Podman has been. */
function runtimeFile(env: Record<string, string | undefined>): string {
  // In a user namespace of ours a user's own id is 0.
  const uid = Number(env._CONTAINERS_ROOTLESS_UID ?? process.getuid?.() ?? 0);
  if (!env.XDG_RUNTIME_DIR && uid === 0) return "/run/containers/0/auth.json";
  return join(env.XDG_RUNTIME_DIR || dirname(userRunRoot(uid, env)), "containers/auth.json");
}

/** `quay.io/a/b`, `quay.io/a`, `quay.io`. */
function keysOf(reference: Pick<Reference, "registry" | "repository">): string[] {
  const parts = repositoryName(reference as Reference).split("/");
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
}

export function readAuthFile(path: string, mustExist: boolean): AuthFile | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    return authFileOf(parsed);
  } catch (error) {
    const missing = hasCode(error, "ENOENT", "ENOTDIR");
    if (missing && !mustExist) return undefined;
    throw new UserError(
      missing
        ? `checking authfile: stat ${path}: no such file or directory`
        : `reading JSON file ${JSON.stringify(path)}: ${oneLine(errorText(error))}`,
    );
  }
}

/** The file's content, once every part that is used has its form. */
function authFileOf(parsed: unknown): AuthFile {
  const isText = (value: unknown) => typeof value === "string";
  const optional = (value: unknown, fits: (value: unknown) => boolean) =>
    value === undefined || value === null || fits(value);
  const isEntry = (value: unknown) =>
    isObject(value) && optional(value.auth, isText) && optional(value.identitytoken, isText);
  if (!isObject(parsed)) throw new Error("it holds no object");
  const { auths, credHelpers, credsStore } = parsed;
  if (!optional(auths, table => isObject(table) && Object.values(table).every(one => optional(one, isEntry))))
    throw new Error("its auths are no table of credentials");
  if (!optional(credHelpers, table => isObject(table) && Object.values(table).every(isText)))
    throw new Error("its credHelpers are no table of names");
  if (!optional(credsStore, isText)) throw new Error("its credsStore is no name");
  return parsed;
}

export function fromAuths(file: AuthFile, key: string, path: string): Credentials | undefined {
  for (const [name, entry] of Object.entries(file.auths ?? {})) {
    if (!entry || normalized(name) !== key) continue;
    const text = atobOrThrow(entry.auth ?? "", key, path);
    const colon = text.indexOf(":");
    if (colon < 0 && !entry.identitytoken) continue;
    return {
      username: text.slice(0, Math.max(colon, 0)),
      password: text.slice(colon + 1).replace(/\0+$/, ""),
      identityToken: entry.identitytoken || undefined,
    };
  }
  return undefined;
}

/** Docker's old keys are addresses: `https://index.docker.io/v1/` is docker.io. */
export function normalized(key: string): string {
  const isAddress = /^https?:\/\//.test(key);
  const plain = key.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const host = plain.split("/")[0]!;
  if (host === "index.docker.io" || host === "registry-1.docker.io") return "docker.io";
  return isAddress ? host : plain;
}

function atobOrThrow(text: string, key: string, path: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)));
  } catch {
    throw new UserError(`the credentials for ${key} in ${path} are no base64`);
  }
}

/** docker-credential-helpers' protocol: the server's name on standard input, JSON back. */
function askHelper(
  name: string,
  server: string,
  env: Record<string, string | undefined>,
): Credentials | undefined {
  const program = `docker-credential-${name}`;
  let child: Bun.SyncSubprocess<"pipe", "pipe">;
  try {
    child = Bun.spawnSync([program, "get"], {
      stdin: Buffer.from(server),
      stdout: "pipe",
      stderr: "pipe",
      env,
    });
  } catch (error) {
    throw new UserError(`the credential helper ${program} can't be run: ${errorText(error)}`);
  }
  const said = child.stdout.toString();
  if (child.exitCode !== 0) {
    if (/credentials not found/i.test(said)) return undefined;
    throw new UserError(
      `the credential helper ${program} failed: ${oneLine(said || child.stderr.toString())}`,
    );
  }
  try {
    const { Username, Secret } = JSON.parse(said) as { Username: unknown; Secret: unknown };
    if (typeof Username !== "string" || typeof Secret !== "string") throw new Error("no text");
    return Username === "<token>"
      ? { username: "", password: "", identityToken: Secret }
      : { username: Username, password: Secret };
  } catch {
    throw new UserError(`the credential helper ${program} gave an answer without a name and a secret`);
  }
}
