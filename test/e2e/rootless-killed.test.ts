/** An ordinary user's commands and his network's processes are killed at any instant; nothing leaks, the network comes back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { HOST_ADDRESS } from "../support/host.ts";
import { noise } from "../support/images.ts";
import { Killer } from "../support/killer.ts";
import { difference } from "../support/leaks.ts";
import { EXCHANGE_PORT, OUTSIDE_ADDRESS, Outside } from "../support/outside.ts";
import { exchangeTcp, sha256 } from "../support/transfer.ts";
import type { TestUser } from "../support/user.ts";
import { settledSnapshot } from "../support/user-leaks.ts";
import { openUser } from "./world.ts";

const DATA = noise(400_000);

let user: TestUser & AsyncDisposable;
let outside: Outside;
beforeAll(async () => {
  user = await openUser("probe");
  outside = await Outside.open(user.host);
  // The user's namespaces stay for the next command, and directories of networks, by design.
  await user.must("portolan", "network", "create", "sea");
  await user.must("portolan", "run", "--rm", "--network", "sea", "probe", "true");
  await user.must("portolan", "network", "rm", "sea");
}, 60_000);
afterAll(async () => {
  outside?.[Symbol.dispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A container that answers exchanges (transfer.ts) at port 8080 of the host. */
async function startServer(): Promise<void> {
  const serve = `socat -t 10 TCP4-LISTEN:80,fork,reuseaddr,backlog=64 SYSTEM:'echo $SOCAT_PEERADDR $(sha256sum)'`;
  await user.must("portolan", "run", "-d", "--name", "server", "-p", "8080:80", "probe", "sh", "-c", serve);
  await until(answers, () => "the server does not answer");
}

/** Both ways work: an exchange with the container from outside, and one of the container with the outside. */
async function answers(): Promise<boolean> {
  const answer = await exchangeTcp(user.host.outside, HOST_ADDRESS, 8080, DATA);
  if (answer !== `${OUTSIDE_ADDRESS} ${sha256(DATA)} -`) return false;
  const out = `head -c 100000 /dev/zero | socat -t 10 - TCP4:${OUTSIDE_ADDRESS}:${EXCHANGE_PORT},connect-timeout=5`;
  const { stdout } = await user.run(["portolan", "exec", "server", "sh", "-c", out]);
  return stdout.trim() === `${HOST_ADDRESS} ${sha256(new Uint8Array(100_000))}`;
}

/** Transfers in, one after the other, until stopped; resolves with how many came whole. */
function load(): { stop(): Promise<number> } {
  let going = true;
  let whole = 0;
  const lane = async () => {
    while (going) {
      const answer = await exchangeTcp(user.host.outside, HOST_ADDRESS, 8080, DATA);
      if (answer.includes(sha256(DATA))) whole++;
      else await Bun.sleep(1);
    }
  };
  const lanes = Promise.all([lane(), lane(), lane()]);
  return {
    async stop() {
      going = false;
      await lanes;
      return whole;
    },
  };
}

/** Kills every process of the user's with this name. */
const kill = (name: string) => user.host.must("pkill", "-KILL", "-u", `${user.uid}`, "-x", name);

describe("the network's own processes", () => {
  for (const name of ["netd", "netd-service"])
    test(`${name} is killed under load: new connections work again, with the callers' addresses`, async () => {
      const before = await settledSnapshot(user);
      await startServer();
      for (let round = 0; round < 5; round++) {
        const busy = load();
        await until(
          () => answers(),
          () => "no transfer under load",
        );
        await kill(name);
        const small = noise(1000);
        await until(
          async () => {
            const answer = await exchangeTcp(user.host.outside, HOST_ADDRESS, 8080, small);
            return answer === `${OUTSIDE_ADDRESS} ${sha256(small)} -`;
          },
          () => `${name} does not come back`,
        );
        expect(await busy.stop()).toBeGreaterThan(0);
        expect(await answers()).toBe(true);
      }
      await user.must("portolan", "rm", "-f", "-t", "0", "server");
      expect(difference(before, await settledSnapshot(user))).toEqual([]);
    }, 60_000);

  test("all of them at once: the next command brings the network back", async () => {
    const before = await settledSnapshot(user);
    await startServer();
    await user.host.must("pkill", "-KILL", "-u", `${user.uid}`, "-x", "netd|netd-service|catatonit");
    await user.must("portolan", "exec", "server", "true");
    await until(answers, () => "the network does not come back");
    await user.must("portolan", "rm", "-f", "-t", "0", "server");
    expect(difference(before, await settledSnapshot(user))).toEqual([]);
  }, 60_000);
});

describe("commands", () => {
  const RUN = ["portolan", "run", "--name", "victim", "-p", "8081:80"];
  const RUNS = 140;
  const REMOVALS = 60;

  /** What is left after each kill is ended by the next command; compared once all is at rest, every twentieth round. */
  async function expectClean(before: Awaited<ReturnType<typeof settledSnapshot>>): Promise<void> {
    let left: string[] = [];
    await until(
      async () => {
        const rows = await user.must("portolan", "ps", "-a", "--format", "{{.Names}} {{.Status}}");
        left = [...rows.split("\n").filter(Boolean), ...difference(before, await settledSnapshot(user))];
        return left.length === 0;
      },
      () => `left behind:\n${left.join("\n")}`,
      20,
    );
  }

  test(`kill -9 of run --rm with a published port, ${RUNS} times, leaves nothing behind`, async () => {
    await user.must(...RUN, "--rm", "probe", "true");
    const killer = await Killer.from(user, ...RUN, "--rm", "probe", "true");
    const before = await settledSnapshot(user);
    for (let round = 1; round <= RUNS; round++) {
      await killer.run(...RUN, "--rm", "probe", "true");
      // By any command that changes something.
      await user.must("portolan", "rm", "-f", "-i", "-t", "0", "victim");
      if (round % 20 === 0) await expectClean(before);
    }
    expect(killer.kills).toBeGreaterThan(RUNS / 4);
  }, 240_000);

  test(`kill -9 of rm -f, ${REMOVALS} times, leaves nothing behind once it is removed again`, async () => {
    await user.must(...RUN, "-d", "probe", "sleep", "1000");
    const killer = await Killer.from(user, "portolan", "rm", "-f", "-t", "0", "victim");
    const before = await settledSnapshot(user);
    for (let round = 1; round <= REMOVALS; round++) {
      await user.must(...RUN, "-d", "probe", "sleep", "1000");
      await killer.run("portolan", "rm", "-f", "-t", "0", "victim");
      await user.must("portolan", "rm", "-f", "-i", "-t", "0", "victim");
      if (round % 20 === 0) await expectClean(before);
    }
    expect(killer.kills).toBeGreaterThan(REMOVALS / 4);
  }, 240_000);
});

test("a logout or a reboot, which wipe the run directory: the next command repairs", async () => {
  const before = await settledSnapshot(user);
  await user.must("portolan", "run", "-d", "--name", "one", "-p", "8081:80", "probe", "sleep", "1000");
  await user.must("portolan", "network", "create", "sea");
  await user.must("portolan", "run", "-d", "--name", "two", "--network", "sea", "probe", "sleep", "1000");
  // All of the user's processes end, and with them his namespaces.
  await user.host.must("pkill", "-KILL", "-u", `${user.uid}`);
  const isGone = async () => (await user.host.run(["pgrep", "-u", `${user.uid}`])).code === 1;
  await until(isGone, () => "killed processes do not end");
  await user.host.must("sh", "-c", `rm -rf ${user.runtime}/* ${user.runtime}/.[!.]*`);
  const rows = await user.must(
    "portolan",
    "ps",
    "-a",
    "--format",
    "{{.Names}} {{.State}}",
    "--sort",
    "names",
  );
  expect(rows).toMatch(/^one Exited .*\ntwo Exited .*$/);
  await user.must("portolan", "start", "one", "two");
  await user.must("portolan", "exec", "two", "getent", "hosts", "two");
  await user.must("portolan", "rm", "-f", "-t", "0", "-a");
  await user.must("portolan", "network", "rm", "sea");
  expect(difference(before, await settledSnapshot(user))).toEqual([]);
}, 60_000);
