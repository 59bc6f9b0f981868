/** A minute's crowd on one pool: Go's host-local and ours, executed side by side, adding and deleting. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PORTOLAN } from "../support/host.ts";

const WORKERS = 32;
const SECONDS = 60;
/** 61 addresses: nearly all of them are taken when each worker holds one or two. */
const SUBNET = "10.9.0.0/26";
const GO = "/usr/lib/cni/host-local";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "portolan-crowd-"));
  const installed = Bun.spawnSync([PORTOLAN, "cni", "install", join(directory, "plugins")]);
  if (installed.exitCode !== 0) throw new Error(installed.stderr.toString());
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function call(file: string, command: "ADD" | "DEL", id: string): Promise<string | undefined> {
  const ipam = { type: "host-local", dataDir: directory, subnet: SUBNET };
  const conf = { cniVersion: "1.0.0", name: "net", type: "bridge", ipam };
  const child = Bun.spawn([file], {
    stdin: new TextEncoder().encode(JSON.stringify(conf)),
    stdout: "pipe",
    stderr: "pipe",
    env: {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: "/proc/self/ns/net",
      CNI_NETNS_OVERRIDE: "1",
      CNI_IFNAME: "eth0",
      CNI_PATH: directory,
    },
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode !== 0) throw new Error(`${file} ${command} ${id}: ${out}${err}`);
  return out ? (JSON.parse(out) as { ips: { address: string }[] }).ips[0]!.address : undefined;
}

test(
  `${WORKERS} workers for ${SECONDS} seconds, Go's and ours by turns: no address twice, and none left`,
  async () => {
    const ours = join(directory, "plugins/host-local");
    const holders = new Map<string, string>();
    const rounds = { [GO]: 0, [ours]: 0 };
    const end = Date.now() + SECONDS * 1000;
    const work = async (worker: number) => {
      for (let round = 0; Date.now() < end; round++) {
        // What one adds, the other deletes every second time.
        const [adder, deleter] = [(worker + round) % 2 ? GO : ours, round % 2 ? GO : ours];
        const id = `c${worker}-${round}`;
        const address = (await call(adder, "ADD", id))!;
        expect([address, holders.get(address)]).toEqual([address, undefined]);
        holders.set(address, id);
        holders.delete(address);
        await call(deleter, "DEL", id);
        rounds[adder]!++;
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
    expect(readdirSync(join(directory, "net")).sort()).toEqual(["last_reserved_ip.0", "lock"]);
    // Both were at work.
    expect(Math.min(...Object.values(rounds))).toBeGreaterThan(WORKERS);
    console.log(`rounds: ${rounds[GO]} added by Go's, ${rounds[ours]} by ours`);
  },
  (SECONDS + 60) * 1000,
);
