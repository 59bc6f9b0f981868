/** The result cache, in libcni's form: what DEL needs when the namespace and the conflist may be gone. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { mapJson, objectJson, structJson } from "./go-json.ts";
import { formatResult, parseResult } from "./result.ts";
import type { Result } from "./types.ts";

export interface CacheEntry {
  containerId: string;
  ifName: string;
  networkName: string;
  netns: string;
  /** The conflist's own text; "" in the files of old versions of libcni, which held the result alone. */
  config: string;
  cniArgs: [string, string][];
  capabilityArgs: Record<string, unknown>;
  result: Result;
}

/** The JSON object in a file; undefined where there is none, or nothing that can be read as one. */
function readObject(path: string): Record<string, unknown> | undefined {
  try {
    const data: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof data === "object" && data !== null ? (data as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export class ResultCache {
  constructor(readonly directory = "/var/lib/cni/results") {}

  #path(network: string, containerId: string, ifName: string): string {
    return join(this.directory, `${network}-${containerId}-${ifName}`);
  }

  write(entry: CacheEntry): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const path = this.#path(entry.networkName, entry.containerId, entry.ifName);
    const { cniArgs, capabilityArgs, result } = entry;
    const text = objectJson(
      [
        ["kind", structJson("cniCacheV1")],
        ["containerId", structJson(entry.containerId)],
        ["config", structJson(Buffer.from(entry.config).toString("base64"))],
        ["ifName", structJson(entry.ifName)],
        ["networkName", structJson(entry.networkName)],
        ["netns", entry.netns ? structJson(entry.netns) : undefined],
        ["cniArgs", cniArgs.length > 0 ? structJson(cniArgs) : undefined],
        ["capabilityArgs", Object.keys(capabilityArgs).length > 0 ? mapJson(capabilityArgs) : undefined],
        ["result", mapJson(formatResult(result, result.cniVersion))],
      ],
      false,
    );
    // A kill between two writes must not leave half a file: DEL would then know nothing.
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** The entry; undefined where there is none or it can't be read (DEL goes on without). */
  read(network: string, containerId: string, ifName: string): CacheEntry | undefined {
    const data = readObject(this.#path(network, containerId, ifName));
    if (!data) return undefined;
    const isLegacy = data.kind !== "cniCacheV1";
    try {
      return {
        containerId,
        ifName,
        networkName: network,
        netns: (data.netns as string | undefined) ?? "",
        config: Buffer.from(String(data.config ?? ""), "base64").toString(),
        cniArgs: (data.cniArgs as [string, string][] | undefined) ?? [],
        capabilityArgs: (data.capabilityArgs as Record<string, unknown> | undefined) ?? {},
        result: parseResult(isLegacy ? data : data.result, "0.4.0"),
      };
    } catch {
      return undefined;
    }
  }

  remove(network: string, containerId: string, ifName: string): void {
    const path = this.#path(network, containerId, ifName);
    for (const one of [path, `${path}.new`]) rmSync(one, { force: true });
  }

  get isEmpty(): boolean {
    return this.#names().every(name => name.endsWith(".new"));
  }

  #names(): string[] {
    try {
      return readdirSync(this.directory);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return [];
      throw error;
    }
  }

  /** Every attachment to a network that has a readable entry; when it was written, in milliseconds since 1970. */
  entries(network: string): { containerId: string; ifName: string; netns: string; since: number }[] {
    return this.#names()
      .filter(name => name.startsWith(`${network}-`))
      .flatMap(name => {
        const path = join(this.directory, name);
        const { networkName, containerId, ifName, netns = "" } = readObject(path) ?? {};
        if (networkName !== network || typeof containerId !== "string" || typeof ifName !== "string")
          return [];
        if (name !== `${network}-${containerId}-${ifName}`) return [];
        return [
          {
            containerId,
            ifName,
            netns: String(netns),
            since: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now(),
          },
        ];
      });
  }
}
