/** Being known to a registry: credentials are tried there, and kept in a file (containers-auth.json(5)). */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { type AuthFile, type Credentials, fromAuths, normalized, readAuthFile } from "./auth.ts";
import { Connection, RefusedError } from "./connection.ts";
import { Registries } from "./registries.ts";

/** What is logged into: `quay.io`, or a namespace of it, `quay.io/team`. */
export interface LoginTarget {
  key: string;
  registry: string;
}

/** Reads `[https://]REGISTRY[/NAMESPACE]`; undefined is the first registry that short names are searched in. */
export function loginTarget(text: string | undefined): LoginTarget {
  const named = text ?? Registries.load().searched()[0];
  if (!named) throw new UserError("no registries found in registries.conf, a registry must be provided");
  const key = named.replace(/^https?:\/\//, "").replace(/\/+$/, "");
  const registry = key.split("/")[0]!;
  if (!/^[a-z0-9.[\]:-]+$/i.test(registry))
    throw new UserError(`parsing registry ${JSON.stringify(named)}: invalid reference format`);
  return { key, registry };
}

export interface CheckOptions {
  certDir?: string;
  /** Undefined: as registries.conf has it. */
  tlsVerify?: boolean;
}

/** Shows credentials to the registry; false when it does not know them. Throws UserError when it can't be asked. */
export async function checkLogin(
  { registry }: LoginTarget,
  credentials: Credentials,
  { certDir, tlsVerify }: CheckOptions,
): Promise<boolean> {
  try {
    const [endpoint] = Registries.load().endpoints({ registry, repository: "any" }).slice(-1);
    const insecure = tlsVerify === undefined ? endpoint!.insecure : !tlsVerify;
    const place = { host: endpoint!.host, repository: "", insecure };
    const connection = await Connection.open(place, credentials, { certDir });
    const response = await connection.request("/v2/");
    await response.body?.cancel();
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.status === 401) return false;
    throw new UserError(`authenticating creds for ${JSON.stringify(registry)}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** Keeps credentials in the file `path`. Throws UserError. */
export function storeLogin(path: string, { key }: LoginTarget, credentials: Credentials): void {
  const file = readAuthFile(path, false) ?? {};
  const helper = file.credHelpers?.[key] ?? file.credsStore;
  if (helper)
    throw new UserError(
      `${path} leaves the credentials of ${key} to the program docker-credential-${helper}, which is asked but not told of new ones`,
      { hint: `use docker-credential-${helper} store` },
    );
  const { username, password } = credentials;
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const others = Object.entries(file.auths ?? {}).filter(([name]) => normalized(name) !== normalized(key));
  const entries = [...others, [key, { auth }] as const].sort(([a], [b]) => (a < b ? -1 : 1));
  writeAuthFile(path, { ...file, auths: Object.fromEntries(entries) });
}

/** Takes the credentials for exactly this registry, or for all, out of the file; false when it has none. */
export function removeLogin(path: string, target: LoginTarget | "all"): boolean {
  const file = readAuthFile(path, false);
  if (target === "all") {
    if (file) writeAuthFile(path, { ...file, auths: {} });
    return true;
  }
  const entries = Object.entries(file?.auths ?? {});
  const others = entries.filter(([name]) => normalized(name) !== normalized(target.key));
  if (others.length === entries.length) return false;
  writeAuthFile(path, { ...file, auths: Object.fromEntries(others) });
  return true;
}

/** The credentials that the file has for exactly this registry. */
export function storedLogin(path: string, { key }: LoginTarget): Credentials | undefined {
  const file = readAuthFile(path, false);
  return file && fromAuths(file, normalized(key), path);
}

/** Only its owner may read the file, and nobody ever sees half of it. */
function writeAuthFile(path: string, content: AuthFile): void {
  const part = `${path}.${process.pid}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(part, "wx", 0o600);
    try {
      writeSync(fd, JSON.stringify(content, null, "\t"));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw new UserError(`writing credentials: ${errorText(error)}`, { cause: error });
  }
}
