/** The bytes of requests for queueing disciplines and filters, and of a dump (linux/pkt_sched.h, linux/pkt_cls.h). */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { addRedirect, redirects } from "./filter.ts";
import { addIngress, addTokenBucket, parseQdisc, tokenBucket } from "./qdisc.ts";
import type { NetlinkSocket } from "./socket.ts";

interface Sent {
  type: number;
  flags: number;
  body: string;
}

function sent(ask: (nl: NetlinkSocket) => void): Sent {
  const messages: Sent[] = [];
  const nl = {
    request(_: string, type: number, flags: number, body: Uint8Array) {
      messages.push({ type, flags, body: Buffer.from(body).toString("hex") });
      return [];
    },
  };
  ask(nl as unknown as NetlinkSocket);
  return messages[0]!;
}

const CREATE_EXCL = 0x600;
/** `struct tcmsg`: family and padding, then link, handle, parent and info as they stand in memory. */
const tcmsg = (...fields: string[]) => `00000000${fields.join("")}`;

test("a token bucket: struct tc_tbf_qopt, and a rate beyond 32 bits whole in an attribute of its own", () => {
  const parms = (rate: string, limit: string, buffer: string) =>
    `28000100${"00".repeat(8)}${rate}${"00".repeat(12)}${limit}${buffer}00000000`;
  const header = tcmsg("07000000", "00000100", "ffffffff", "00000000");
  expect(sent(nl => addTokenBucket(nl, 7, { rate: 1_000_000, limit: 125_000, buffer: 1_562_500 }))).toEqual({
    type: 36,
    flags: CREATE_EXCL,
    body: `${header}0800010074626600${"2c000280"}${parms("40420f00", "48e80100", "84d71700")}`,
  });
  expect(sent(nl => addTokenBucket(nl, 7, { rate: 2 ** 33 + 1, limit: 1, buffer: 2 })).body).toBe(
    `${header}0800010074626600${"38000280"}${parms("ffffffff", "01000000", "02000000")}0c0004000100000002000000`,
  );
});

test("the qdisc of arriving packets and its filter", () => {
  expect(sent(nl => addIngress(nl, 7))).toEqual({
    type: 36,
    flags: CREATE_EXCL,
    body: `${tcmsg("07000000", "0000ffff", "f1ffffff", "00000000")}0c000100${"696e677265737300"}`,
  });
  const mirred = `24000280200002000000000000000000040000000000000000000000${"01000000"}${"09000000"}`;
  expect(sent(nl => addRedirect(nl, 7, 9))).toEqual({
    type: 44,
    flags: CREATE_EXCL,
    // Priority 1, ETH_P_ALL in network byte order.
    body:
      tcmsg("07000000", "00000000", "0000ffff", "00030100") +
      "0800010075333200" +
      // TCA_OPTIONS { TCA_U32_SEL, TCA_U32_CLASSID 1:1, TCA_U32_ACT { 1 { "mirred", TCA_ACT_OPTIONS } } }
      `68000280${"24000500"}${"0100010000000000"}${"00".repeat(24)}` +
      `0800010001000100${"38000780"}${"34000180"}${"0b0001006d697272656400"}00${mirred}`,
  });
});

test("what is sent is read back, whatever the numbers", () => {
  const number = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 52 }), number, number, (rate, buffer, limit) => {
      const { type, flags, body } = sent(nl => addTokenBucket(nl, 3, { rate, buffer, limit }));
      const qdisc = parseQdisc({
        type,
        flags,
        seq: 0,
        pid: 0,
        body: Uint8Array.from(Buffer.from(body, "hex")),
      });
      expect(qdisc).toMatchObject({ index: 3, kind: "tbf", bucket: { rate, buffer, limit } });
    }),
  );
});

test("attributes of any bytes are a qdisc, no targets, or an error that is told", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), rest => {
      const body = new Uint8Array(20 + rest.length);
      body.set(rest, 20);
      const message = { type: 0, flags: 0, seq: 0, pid: 0, body };
      for (const read of [
        () => parseQdisc(message),
        () => redirects({ dump: () => [message] } as unknown as NetlinkSocket, 1),
      ])
        try {
          read();
        } catch (error) {
          expect((error as Error).name).toBe("WireError");
        }
    }),
  );
});

test("rate, burst and latency as a bucket: Go's numbers, and the kernel's greatest where they would not fit", () => {
  expect(tokenBucket(1_000_000, 100_000, 25_000)).toEqual({
    rate: 1_000_000,
    buffer: 1_562_500,
    limit: 125_000,
  });
  expect(tokenBucket(500_000, 50_000, 25_000)).toEqual({ rate: 500_000, buffer: 1_562_500, limit: 62_500 });
  // A gigabyte at a kilobyte a second takes longer to fill than 32 bits of ticks.
  expect(tokenBucket(1000, 2 ** 30, 25_000)).toEqual({ rate: 1000, buffer: 0xffffffff, limit: 2 ** 30 + 25 });
  expect(tokenBucket(2 ** 40, 2 ** 32 - 2, 25_000).limit).toBe(0xffffffff);
});
