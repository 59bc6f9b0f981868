/** Transfers into and out of a container, with checksums, and the addresses that both ends see. */
import { run as inNetns } from "../../src/sys/netns.ts";
import { until } from "../support/await.ts";
import { noise } from "../support/images.ts";
import { EXCHANGE_PORT, HOST_ADDRESS, HOST6, OUTSIDE_ADDRESS, OUTSIDE6 } from "../support/outside.ts";
import { exchangeTcp, exchangeUdp, type Place, sha256 } from "../support/transfer.ts";
import type { EngineName, Pair } from "./world.ts";

const STREAM = noise(3_000_000);
const DATAGRAM = noise(1200);

/** Answers exchanges (transfer.ts) at port 80 of TCP and 90 of UDP, by IPv4 and IPv6; says so once it does. */
const SERVER = `answer='echo $SOCAT_PEERADDR $(sha256sum)'
for family in 4 6; do
  only=; [ $family = 4 ] || only=,ipv6-v6only
  socat -t 10 TCP$family-LISTEN:80,fork,reuseaddr$only SYSTEM:"$answer" &
  socat -t 10 UDP$family-RECVFROM:90,fork,reuseaddr$only SYSTEM:"$answer" &
done
until [ $(ss -Hlntu | grep -c -E ':(80|90) ') = 4 ]; do sleep 0.02; done
echo listening
wait`;

/** Exchanges with the server outside: a line each of the way, what was sent and what it answered. */
const CLIENT = `head -c 3000000 /dev/urandom >/tmp/stream
head -c 1200 /dev/urandom >/tmp/datagram
for way in TCP4:${OUTSIDE_ADDRESS} TCP6:[${OUTSIDE6}] UDP4:${OUTSIDE_ADDRESS} UDP6:[${OUTSIDE6}]; do
  case $way in TCP*) data=/tmp/stream;; *) data=/tmp/datagram;; esac
  # Pasta stalls for several seconds now and then. Of datagrams nobody says which is the last: the first line is the answer.
  { read -r answer < <(socat -t 20 - $way:${EXCHANGE_PORT} <$data 2>&1); echo $way $(sha256sum <$data) $answer; } &
done
wait`;

/** `[2001:0db8:0000:…:0002]`, as socat has it, in the form that people write. */
function plain(address: string): string {
  const hextets = /^\[([0-9a-f:]+)\]$/.exec(address)?.[1]?.split(":");
  if (hextets?.length !== 8) return address;
  return hextets
    .map(one => one.replace(/^0+(?=.)/, ""))
    .join(":")
    .replace(/(^|:)0(:0)+(:|$)/, "::");
}

/** What came back for data of this checksum: the address that was seen, or what went wrong. */
function seen(answer: string, checksum: string): string {
  if (/ E .*unreachable/.test(answer)) return "unreachable";
  const [address = "", sum] = answer.split(" ");
  if (sum === undefined) return answer || "closed";
  return sum === checksum ? plain(address) : "the data is not what was sent";
}

/**
 * The source addresses that a server in a container of `network` sees, by who calls and how; `refused` where nobody listens.
 */
export async function incoming(
  pair: Pair,
  engine: EngineName,
  network: string,
): Promise<Record<string, string>> {
  const { host, user } = pair;
  const caller = user ?? host;
  const ports = ["-p", "8080:80", "-p", "9090:90/udp"];
  const words = [engine, "run", "-d", "--name", "server", "--network", network, ...ports, "probe"];
  await caller.must(...words, "bash", "-c", SERVER);
  try {
    await until(
      async () => (await caller.run([engine, "logs", "server"])).stdout.includes("listening"),
      () => "the server does not listen",
    );
    const onHost: Place = { run: fn => inNetns(`/proc/${host.pid}/ns/net`, fn as () => never) as never };
    const found: Record<string, string> = {};
    for (const [who, place, target] of [
      ["outside by IPv4", host.outside, HOST_ADDRESS],
      ["outside by IPv6", host.outside, HOST6],
      ["the host by 127.0.0.1", onHost, "127.0.0.1"],
      ["the host by its address", onHost, HOST_ADDRESS],
    ] as const) {
      found[`TCP from ${who}`] = seen(await exchangeTcp(place, target, 8080, STREAM), sha256(STREAM));
      found[`UDP from ${who}`] = seen(await exchangeUdp(place, target, 9090, DATAGRAM), sha256(DATAGRAM));
    }
    return found;
  } finally {
    await caller.must(engine, "rm", "-f", "-t", "0", "server");
  }
}

/** The source addresses that the server outside sees of a container of `network`, by way. */
export async function outgoing(
  { host, user }: Pair,
  engine: EngineName,
  network: string,
): Promise<Record<string, string>> {
  const words = [engine, "run", "--rm", "--network", network, "probe", "bash", "-c", CLIENT];
  const lines = (await (user ?? host).must(...words)).split("\n");
  return Object.fromEntries(
    lines.map(line => {
      const [way = "", checksum = "", , ...answer] = line.split(" ");
      return [way.slice(0, 4), seen(answer.join(" "), checksum)];
    }),
  );
}
