/**
 * The data plane in a process of its own, for tests: `plane-child.ts SETUP`, with a `PlaneSetup` as JSON. Says `ready`,
 * then obeys one JSON request to a line on standard input and answers with one line each; ends with its input.
 */
import { BugError } from "../../src/base/errors.ts";
import { DataPlane } from "../../src/netd/data-plane.ts";
import { Frames } from "../../src/netd/frames.ts";
import type { Tap } from "../../src/netd/tap.ts";
import { Stack } from "../../src/stack/stack.ts";
import { EPOLL } from "../../src/sys/epoll.ts";
import { readFd } from "../../src/sys/fd.ts";
import { bytes } from "../../src/sys/mem.ts";
import { run } from "../../src/sys/netns.ts";
import { openTap } from "../../src/sys/tun.ts";
import { type Cidr, parseCidr, parseIP } from "../../src/wire/addr.ts";
import { Random } from "../simulated/random.ts";
import type { PlaneRequest, PlaneSetup } from "./world.ts";

const setup = JSON.parse(process.argv[2]!) as PlaneSetup;

/** A mistake in the stack, for want of a real one: frames of this length are too much for it. */
const takeIn = Stack.prototype.input;
if (setup.fatalLength)
  Stack.prototype.input = function (...frame) {
    if (frame[4] - frame[3] === setup.fatalLength) throw new BugError("a frame too much");
    takeIn.apply(this, frame);
  };
if (setup.loss) loseFrames(setup.loss, new Random(7));
const plane = new DataPlane({ resolvConf: setup.resolvConf });
const ip = (text: string) => parseIP(text)!;
const cidr = (text: string): Cidr => parseCidr(text)!;

const taps: Tap[] = setup.guests.map(path => {
  const device = run(path, () => openTap("tap0", { offload: setup.offload }));
  return plane.addTap({
    device,
    outbound: {
      ipv4: setup.outbound4 ? ip(setup.outbound4) : undefined,
      ipv6: setup.outbound6 ? ip(setup.outbound6) : undefined,
      device4: setup.outboundDevice,
      device6: setup.outboundDevice,
    },
    config: {
      ipv4: {
        subnet: cidr("10.0.2.0/24"),
        gateway: ip("10.0.2.2"),
        dns: ip("10.0.2.3"),
        guest: ip("10.0.2.100"),
      },
      ipv6: { prefix: cidr("fd00::/64"), gateway: ip("fd00::2"), dns: ip("fd00::3") },
      mac: Uint8Array.of(0x52, 0x55, 10, 0, 2, 2),
      mtu: setup.mtu,
      hostLoopback: setup.hostLoopback,
      dns: true,
      searchDomains: plane.searchDomains,
      limits: {
        tcpFlows: setup.tcpFlows ?? 16_384,
        udpFlows: 4096,
        pingFlows: 256,
        flowBuffer: 4 << 20,
        totalBuffer: 256 << 20,
        reassembly: 4 << 20,
      },
    },
    onGone: () => say({ gone: true }),
  });
});

const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);

function obey(request: PlaneRequest): object {
  const tap = taps[request.guest ?? 0]!;
  switch (request.do) {
    case "publish": {
      const { protocol, host, hostPort, count, guestPort, guestAddress } = request;
      return {
        id: tap.publish({
          protocol,
          hostAddress: ip(host),
          hostPort,
          count: count ?? 1,
          guestAddress: ip(guestAddress ?? "10.0.2.100"),
          guestPort,
        }),
      };
    }
    case "unpublish":
      return { removed: tap.unpublish(request.id) };
    case "memory":
      return { rss: process.memoryUsage.rss() };
  }
}

const input = bytes(65_536);
let line = "";
plane.watch(0, EPOLL.IN, () => {
  const count = readFd(0, input);
  if (count === 0) return plane.stop();
  line += new TextDecoder().decode(input.subarray(0, count));
  for (let end = line.indexOf("\n"); end >= 0; end = line.indexOf("\n")) {
    const text = line.slice(0, end);
    line = line.slice(end + 1);
    try {
      say(obey(JSON.parse(text)));
    } catch (error) {
      say({ error: (error as Error).message });
    }
  }
});
say({ ready: true });
plane.run();
plane[Symbol.dispose]();

/** The wire loses frames, both ways, with this probability. */
function loseFrames(probability: number, random: Random): void {
  const { write } = Frames.prototype;
  Frames.prototype.write = function (frame) {
    if (!random.chance(probability)) write.call(this, frame);
  };
  const { input } = Stack.prototype;
  Stack.prototype.input = function (...given) {
    if (!random.chance(probability)) input.apply(this, given);
  };
}
