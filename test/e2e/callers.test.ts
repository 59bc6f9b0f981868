/**
 * Callers of an ordinary user's published ports: some are connected inside the container's namespace, as many as there
 * are sockets for, and the others by the stack. Nobody can tell which.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { HOST_ADDRESS, HOST6, OUTSIDE_ADDRESS, OUTSIDE6, Outside } from "../support/outside.ts";
import { exchangeTcp, sha256 } from "../support/transfer.ts";
import { openUser } from "./world.ts";

/** More than there are sockets in the container's namespace. */
const CROWD = 150;
const SERVE = `socat TCP4-LISTEN:80,fork,reuseaddr,backlog=256 SYSTEM:'echo $SOCAT_PEERADDR $(sha256sum)' &
exec socat TCP6-LISTEN:86,fork,reuseaddr,ipv6only SYSTEM:'echo $SOCAT_PEERADDR $(sha256sum)'`;

let user: Awaited<ReturnType<typeof openUser>>;
let outside: Outside;
beforeAll(async () => {
  user = await openUser("probe");
  outside = await Outside.open(user.host);
  const ports = ["-p", "8080:80", "-p", "8086:86", "-p", "8081:81"];
  await user.must("portolan", "run", "-d", "--name", "server", ...ports, "probe", "sh", "-c", SERVE);
  await until(
    async () => (await ask(Uint8Array.of(1)).catch(() => "")) !== "",
    () => "the server does not answer",
  );
}, 60_000);
afterAll(async () => {
  outside[Symbol.dispose]();
  await user[Symbol.asyncDispose]();
});

const ask = (data: Uint8Array, host = HOST_ADDRESS, port = 8080) =>
  exchangeTcp(user.host.outside, host, port, data);

test(`${CROWD} callers at once are served, each under its own address, twice`, async () => {
  for (let round = 0; round < 2; round++) {
    const words = Array.from({ length: CROWD }, (_, index) =>
      crypto.getRandomValues(new Uint8Array(20_000 + index)),
    );
    const answers = await Promise.all(words.map(data => ask(data)));
    expect(answers).toEqual(words.map(data => `${OUTSIDE_ADDRESS} ${sha256(data)} -`));
  }
}, 60_000);

test("a caller by IPv6 keeps its address too", async () => {
  const data = crypto.getRandomValues(new Uint8Array(50_000));
  const [address, hash] = (await ask(data, HOST6, 8086)).split(" ");
  expect(address).toBe("[2001:0db8:0000:0000:0000:0000:0000:0002]");
  expect(OUTSIDE6).toBe("2001:db8::2");
  expect(hash).toBe(sha256(data));
});

test("ten megabytes there and back", async () => {
  const script = `head -c 10000000 /dev/urandom >data
until test "$(echo x | socat -t 5 - TCP4:127.0.0.1:8090)" = x; do sleep 0.05; done
sha256sum <data
socat -t 30 - TCP4:127.0.0.1:8090 <data | sha256sum`;
  const serve = ["probe", "socat", "TCP4-LISTEN:80,fork,reuseaddr", "EXEC:cat"];
  await user.must("portolan", "run", "-d", "--name", "echo", "-p", "8090:80", ...serve);
  const client = ["run", "--rm", "--network", "host", "-w", "/tmp", "probe", "sh", "-c", script];
  const [sent, came] = (await user.must("portolan", ...client)).split("\n");
  expect(came).toBe(sent!);
}, 60_000);

test("a port at which nothing listens inside resets its callers", async () => {
  const RESET = 56;
  const caller = user.host.outside.run(() =>
    Bun.spawn(["curl", "-s", "--max-time", "10", `http://${HOST_ADDRESS}:8081`], { stdout: "ignore" }),
  );
  expect(await caller.exited).toBe(RESET);
});
