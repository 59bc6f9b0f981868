/** Leases on disk, so that a daemon that is started again goes on with those that the last one kept. */
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { formatMac, parseMac } from "../../wire/addr.ts";
import type { Lease } from "./client.ts";
import type { Wanted } from "./options.ts";

/** Whose lease it is, and where. */
export interface Holder {
  /** `containerID/network/interface`, see `holderName`. */
  name: string;
  containerId: string;
  network: string;
  /** Path of the namespace as the daemon sees it. */
  netns: string;
  /** Which namespace that was: its device and inode. */
  identity: string;
  ifName: string;
  wanted: Wanted;
}

/** Bytes of a client identifier, without the byte before it: its length has one byte on the wire. */
const MOST_NAME = 254;

/** What the server knows a holder by. */
export function holderName(containerId: string, network: string, ifName: string): string {
  return `${containerId}/${network}/${ifName}`.slice(0, MOST_NAME);
}

interface Saved extends Omit<Holder, "wanted"> {
  mac: string;
  provide: [number, string][];
  request: number[];
  lease: Omit<Lease, "serverMac"> & { serverMac: string };
}

const isNumber = (value: unknown): value is number => typeof value === "number";

export class Records {
  constructor(private readonly directory: string) {}

  /** `since` is of a clock whose zero is at `zero` (milliseconds of Unix time). */
  write(holder: Holder, mac: Uint8Array, lease: Lease, zero: number): void {
    const { wanted, ...rest } = holder;
    const saved: Saved = {
      ...rest,
      mac: formatMac(mac),
      provide: [...wanted.provide].map(([number, value]) => [number, Buffer.from(value).toString("base64")]),
      request: wanted.request,
      lease: { ...lease, since: lease.since + zero, serverMac: formatMac(lease.serverMac) },
    };
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const path = this.path(holder.name);
    // No lease ends at the year 9999, and JSON has no other word for what never does.
    const text = JSON.stringify(saved, (_key, value) =>
      value === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : value,
    );
    writeFileSync(`${path}.draft`, text, { mode: 0o600 });
    renameSync(`${path}.draft`, path);
  }

  remove(name: string): void {
    rmSync(this.path(name), { force: true });
  }

  /** The directory goes where it has no lease. */
  tidy(): void {
    try {
      rmdirSync(this.directory);
    } catch {
      // There are leases, for the next daemon.
    }
  }

  /** Every lease there is; what can't be read is removed. */
  readAll(zero: number): { holder: Holder; mac: Uint8Array; lease: Lease }[] {
    return this.files().flatMap(file => {
      try {
        return [parse(readFileSync(join(this.directory, file), "utf8"), zero)];
      } catch (error) {
        log.warn(`the lease in ${file} can't be read and is given up: ${errorText(error)}`);
        rmSync(join(this.directory, file), { force: true });
        return [];
      }
    });
  }

  private files(): string[] {
    try {
      return readdirSync(this.directory).sort();
    } catch {
      return [];
    }
  }

  /** Names of holders may be longer than a file's, and have slashes. */
  private path(name: string): string {
    return join(this.directory, createHash("sha256").update(name).digest("hex").slice(0, 32));
  }
}

function parse(text: string, zero: number): { holder: Holder; mac: Uint8Array; lease: Lease } {
  const { mac, provide, request, lease, ...holder } = JSON.parse(text) as Saved;
  const [ownMac, serverMac] = [parseMac(mac), parseMac(lease.serverMac)];
  if (!ownMac || !serverMac || ![lease.since, lease.lease].every(isNumber)) throw new Error("it is no lease");
  const wanted: Wanted = {
    provide: new Map(
      provide.map(([number, value]) => [number, new Uint8Array(Buffer.from(value, "base64"))]),
    ),
    request,
  };
  const [endless, renewal, rebinding] = [lease.lease, lease.renewal, lease.rebinding].map(one =>
    one === Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : one,
  );
  return {
    holder: { ...holder, wanted },
    mac: ownMac,
    lease: {
      ...lease,
      since: lease.since - zero,
      serverMac,
      lease: endless!,
      renewal: renewal!,
      rebinding: rebinding!,
    },
  };
}

/** What tells one namespace from all others; undefined where there is none at the path. */
export function identityOf(netns: string): string | undefined {
  try {
    const { dev, ino } = statSync(netns);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
