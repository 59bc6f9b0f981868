import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { address, icmp, join, packet, show, u16, u32, udpMessage, World } from "../../test/support/guest.ts";
import { READY } from "./outside.ts";

const FAMILIES = {
  4: { from: "10.0.2.100", to: "192.0.2.7", source: "10.0.2.100:4000", destination: "192.0.2.7:9" },
  6: { from: "fd00::64", to: "2001:db8::7", source: "[fd00::64]:4000", destination: "[2001:db8::7]:9" },
} as const;

/** A frame with bytes `offset` to `end` of a UDP datagram. */
function piece(
  family: 4 | 6,
  message: Uint8Array,
  offset: number,
  end: number,
  identification = 1,
  more = end < message.length,
): Uint8Array {
  const { from, to } = FAMILIES[family];
  const data = message.subarray(offset, end);
  if (family === 4)
    return packet(17, from, to, data, { identification, fragment: (more ? 0x2000 : 0) | (offset / 8) });
  return packet(44, from, to, join([17, 0], u16(offset | (more ? 1 : 0)), u32(identification), data));
}

function datagram(family: 4 | 6, length: number, fill = 1): Uint8Array {
  const { source, destination } = FAMILIES[family];
  return udpMessage(
    source,
    destination,
    new Uint8Array(length).map((_, index) => index * fill),
  );
}

const sent = (world: World) =>
  [...world.outside.sockets.values()].flatMap(socket => socket.sent.map(one => one.length));
const family = fc.constantFrom(4 as const, 6 as const);

describe("fragments of the guest", () => {
  test("any cuts, in any order, with any repeated, make the datagram again", () => {
    fc.assert(
      fc.property(
        family,
        fc.integer({ min: 1, max: 65_487 }),
        fc.array(fc.nat(8190), { maxLength: 8 }),
        fc.infiniteStream(fc.nat(1000)),
        (version, length, marks, order) => {
          const world = new World();
          const message = datagram(version, length);
          const inside = [...new Set(marks.map(mark => mark * 8))].filter(
            at => at > 0 && at < message.length,
          );
          const cuts = [0, ...inside.sort((a, b) => a - b), message.length];
          if (cuts.length < 3) return;
          const pieces = cuts.slice(1).map((end, index) => piece(version, message, cuts[index]!, end));
          // One comes twice before the last is there.
          const shuffled = [...pieces.slice(0, -1), pieces[0]!]
            .map(frame => ({ frame, key: order.next().value! }))
            .sort((a, b) => a.key - b.key)
            .map(({ frame }) => frame);
          for (const frame of [...shuffled, pieces.at(-1)!]) world.guest(frame);
          const socket = world.outside.socket(0);
          expect(socket.sent.length).toBe(1);
          expect(socket.sent[0]).toEqual(message.subarray(8));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("several datagrams at once are kept apart", () => {
    const world = new World();
    const [one, two] = [datagram(4, 3000, 1), datagram(4, 3000, 3)];
    world.guest(piece(4, one, 0, 1480, 1));
    world.guest(piece(4, two, 0, 1480, 2));
    world.guest(piece(6, datagram(6, 2000), 0, 1480, 1));
    world.guest(piece(4, two, 1480, 3008, 2));
    world.guest(piece(4, one, 1480, 3008, 1));
    expect(world.outside.socket(0).sent).toEqual([two.subarray(8), one.subarray(8)]);
    expect(world.outside.open.length).toBe(1);
  });

  test("overlapping fragments void the datagram, also for what still comes (RFC 8200, 4.5)", () => {
    for (const version of [4, 6] as const) {
      const world = new World();
      const message = datagram(version, 3000);
      const other = datagram(version, 3000, 5);
      world.guest(piece(version, message, 0, 1480));
      world.guest(piece(version, other, 1472, 2960));
      world.guest(piece(version, message, 1480, 3008));
      expect(sent(world)).toEqual([]);
      // The very bytes again do no harm.
      world.guest(piece(version, message, 0, 1480, 2));
      world.guest(piece(version, message, 0, 1480, 2));
      world.guest(piece(version, message, 1480, 3008, 2));
      expect(sent(world)).toEqual([3000]);
    }
  });

  test("a second last fragment, or one beyond the last, voids the datagram", () => {
    for (const version of [4, 6] as const) {
      const world = new World();
      const message = datagram(version, 3000);
      world.guest(piece(version, message, 1480, 2000, 1, false));
      world.guest(piece(version, message, 2000, 3008, 1, false));
      world.guest(piece(version, message, 0, 1480));
      world.guest(piece(version, message, 1480, 2000, 2, false));
      world.guest(piece(version, message, 2960, 3000, 2, true));
      world.guest(piece(version, message, 0, 1480, 2));
      world.guest(piece(version, message, 2960, 3000, 3, true));
      world.guest(piece(version, message, 1480, 2000, 3, false));
      world.guest(piece(version, message, 0, 1480, 3));
      expect(sent(world)).toEqual([]);
    }
  });

  test("lengths that can't be: dropped, in IPv6 answered where the culprit is", () => {
    const world = new World();
    const message = datagram(4, 3000);
    world.guest(piece(4, message, 0, 1477));
    world.guest(piece(4, message, 1480, 3008));
    world.guest(packet(17, FAMILIES[4].from, FAMILIES[4].to, new Uint8Array(100), { fragment: 8191 }));
    expect(world.take()).toEqual([]);
    world.guest(piece(6, datagram(6, 3000), 0, 1477));
    const beyond = join([17, 0], u16(65_528), u32(9), new Uint8Array(100));
    world.guest(packet(44, FAMILIES[6].from, FAMILIES[6].to, beyond));
    const frames = world.takeFrames();
    expect(frames.map(show)).toEqual([
      "icmp6 fd00::2 > fd00::64 type 4 code 0",
      "icmp6 fd00::2 > fd00::64 type 4 code 0",
    ]);
    expect(frames.map(frame => new DataView(frame.buffer).getUint32(58))).toEqual([4, 42]);
    expect(sent(world)).toEqual([]);
  });

  test("what does not come in a minute is given up, and the sender told (RFC 1122, 3.3.2)", () => {
    const world = new World();
    world.guest(piece(4, datagram(4, 3000), 0, 1480));
    world.guest(piece(6, datagram(6, 3000), 0, 1480));
    world.guest(piece(4, datagram(4, 3000), 1480, 3008, 2));
    world.pass(59_999);
    expect(world.take()).toEqual([]);
    world.pass(1);
    expect(world.take()).toEqual([
      "icmp 10.0.2.2 > 10.0.2.100 type 11 code 1",
      "icmp6 fd00::2 > fd00::64 type 3 code 1",
    ]);
    world.guest(piece(4, datagram(4, 3000), 1480, 3008));
    expect(sent(world)).toEqual([]);
  });

  test("the budget is kept: the oldest gives way", () => {
    // Room for three datagrams.
    const world = new World({ limits: { ...new World().config.limits, reassembly: 225_000 } });
    const message = datagram(4, 3000);
    for (const identification of [1, 2, 3, 4]) {
      world.guest(piece(4, message, 0, 1480, identification));
      world.now += 1;
    }
    for (const identification of [1, 4]) world.guest(piece(4, message, 1480, 3008, identification));
    expect(sent(world)).toEqual([3000]);
  });

  test("a large echo is answered whole", () => {
    const world = new World();
    const { from } = FAMILIES[4];
    const whole = icmp(from, "10.0.2.2", 8, 0, 0x00010001, new Uint8Array(4000)).subarray(34);
    world.guest(packet(1, from, "10.0.2.2", whole.subarray(0, 1480), { fragment: 0x2000 }));
    world.guest(packet(1, from, "10.0.2.2", whole.subarray(1480, 2960), { fragment: 0x2000 | 185 }));
    world.guest(packet(1, from, "10.0.2.2", whole.subarray(2960), { fragment: 370 }));
    const frames = world.takeFrames();
    expect(frames.length).toBe(3);
    expect(frames[0]!.subarray(26, 30)).toEqual(Uint8Array.from(address("10.0.2.2")));
    expect(frames.reduce((sum, frame) => sum + frame.length - 34, 0)).toBe(4008);
  });

  test("a fragmented datagram is quoted in the error that it meets", () => {
    const world = new World();
    const message = datagram(4, 3000);
    world.guest(piece(4, message, 0, 1480));
    world.guest(piece(4, message, 1480, 3008));
    world.outside.socket(0).errors.push(111);
    world.stack.socketReady(world.now, 0, READY.ERROR);
    expect(world.take()).toEqual(["icmp 192.0.2.7 > 10.0.2.100 type 3 code 3"]);
  });
});
