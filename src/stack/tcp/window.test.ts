/** Windows in both directions: what is promised is kept, closed ones are probed, silly ones are left alone. */
import { describe, expect, test } from "bun:test";
import { configFor } from "../../../test/support/stack.ts";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";

describe("our window", () => {
  test("says what is free of what the host's socket has not taken", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    t.guest("P. 1:10001 ack 1").expect(". 1 ack 10001 win 55535");
    t.guest("P. 10001:20001 ack 1").expect(". 1 ack 20001 win 45535");
  });

  test("closes when nothing is taken, and loses none of what it promised", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    for (let start = 1; start < 65_536; start += 13_107) t.guest(`P. ${start}:${start + 13_107} ack 1`);
    expect(t.drain().at(-1)).toMatchObject({ ack: 65_536, window: 0 });
    t.socket.room = Number.POSITIVE_INFINITY;
    t.ready("W").expect(". 1 ack 65536 win 65535");
    expect(t.socket.taken).toBe(65_535);
  });

  test("closed, it answers probes with where it is", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    for (let start = 1; start < 65_536; start += 13_107) t.guest(`P. ${start}:${start + 13_107} ack 1`);
    t.drain();
    t.guest(". 65536:65537 ack 1").expect(". 1 ack 65536 win 0");
    t.guest(". 65535 ack 1").expect(". 1 ack 65536 win 0");
    expect(t.socket.taken).toBe(0);
  });

  test("opens by steps that are worth it (RFC 9293, 3.8.6.2.2)", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    for (let start = 1; start < 65_536; start += 13_107) t.guest(`P. ${start}:${start + 13_107} ack 1`);
    t.drain();
    t.makeRoom(100).expect();
    t.makeRoom(1000).expect();
    t.makeRoom(400).expect(". 1 ack 65536 win 1500");
    t.makeRoom(100).expect();
    t.makeRoom(40_000).expect(". 1 ack 65536 win 41600");
  });

  test("its right edge never goes back", () => {
    const t = new TcpTrace().establish("mss 1460,ws 7");
    let edge = 0;
    t.socket.room = 30_000;
    for (let start = 1; start < 60_000; start += 1111) {
      t.guest(`P. ${start}:${start + 1111} ack 1`);
      const last = t.drain().at(-1)!;
      const now = last.ack! + last.window! * 32;
      expect(now).toBeGreaterThanOrEqual(edge - 31);
      edge = Math.max(edge, now);
    }
  });

  test("doubles while the host keeps up, up to the limit, and not beyond the guest's scale", () => {
    const t = new TcpTrace({ config: { limits: { ...configFor().limits, flowBuffer: 1 << 18 } } });
    t.establish("mss 1460,ws 7");
    let largest = 0;
    for (let start = 1; start < 2_000_000; start += 14_600) {
      t.guest(`P. ${start}:${start + 14_600} ack 1`);
      largest = Math.max(largest, t.drain().at(-1)!.window! << 3);
    }
    expect(largest).toBeGreaterThan(200_000);
    expect(largest).toBeLessThanOrEqual(1 << 18);
    const plain = new TcpTrace().establish("mss 1460");
    for (let start = 1; start < 500_000; start += 14_600) plain.guest(`P. ${start}:${start + 14_600} ack 1`);
    expect(plain.drain().every(one => one.window! <= 65_535)).toBe(true);
  });

  test("does not grow while the host is slow", () => {
    const t = new TcpTrace().establish("mss 1460,ws 7");
    const before = t.layer.promised;
    t.socket.room = 0;
    for (let start = 1; start < 200_001; start += 10_000) {
      t.guest(`P. ${start}:${start + 10_000} ack 1`);
      t.makeRoom(9_990);
    }
    expect(t.socket.taken).toBeGreaterThan(190_000);
    expect(t.layer.promised).toBe(before);
  });

  test("behind a gap it is not lost: the gap's data fits when it comes", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    t.guest("P. 2001:60001 ack 1");
    t.guest("P. 1:2001 ack 1");
    expect(t.drain().at(-1)).toMatchObject({ ack: 60_001, window: 5535 });
    t.makeRoom(60_000);
    expect(t.socket.taken).toBe(60_000);
  });
});

describe("the guest's window", () => {
  test("is not exceeded, and its right edge may come back", () => {
    const t = new TcpTrace().establish("mss 1000", 2000);
    t.feed(5000).expect(". 1:1001 ack 1", ". 1001:2001 ack 1");
    t.guest(". 1 ack 1001 win 500").expect();
    t.guest(". 1 ack 2001 win 1000").expect(". 2001:3001 ack 1");
  });

  test("closed: probed with growing pauses, for as long as the guest answers", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(3000).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001 win 0").expect();
    const times: number[] = [];
    for (let step = 0; step < 40_000; step++) {
      t.pass(50);
      const [probe] = t.drain();
      if (probe === undefined) continue;
      expect(probe).toMatchObject({ sequence: 1001, length: 1 });
      times.push(step * 50);
      t.guest(". 1 ack 1001 win 0").expect();
    }
    expect(times.length).toBeGreaterThan(30);
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    expect(gaps.slice(0, 4).every((gap, index) => index === 0 || gap > gaps[index - 1]!)).toBe(true);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_050);
    t.guest(". 1 ack 1001 win 2000").expect(". 1001:2001 ack 1", ". 2001:3001 ack 1");
  });

  test("closed: a probe's byte may be taken", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(3000).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001 win 0").pass(300).expect("P. 1001:1002 ack 1");
    t.guest(". 1 ack 1002 win 0").expect();
    t.guest(". 1 ack 1002 win 3000").expect(". 1002:2001 ack 1", ". 2001:3001 ack 1");
  });

  test("closed, and nobody answers the probes: both sides are reset", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(3000).guest(". 1 ack 1001 win 0");
    t.pass(1_000_000);
    expect(t.drain().at(-1)!.flags).toBe("R.");
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
  });

  test("closed with nothing to send: no probes", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(1000).guest(". 1 ack 1001 win 0");
    t.drain();
    t.pass(100_000).expect();
  });

  test("closed while data is on its way: the timer goes on, and does not give up on a guest that answers", () => {
    const t = new TcpTrace().establish("mss 1000", 2000);
    t.feed(2000).expect(". 1:1001 ack 1", ". 1001:2001 ack 1");
    for (let round = 0; round < 30; round++) {
      t.pass(61_000);
      expect(t.drain().length).toBeGreaterThan(0);
      t.guest(". 1 ack 1 win 0");
      t.drain();
    }
    expect(t.socket.state).toBe("open");
    t.guest(". 1 ack 2001 win 2000").expect();
  });

  test("a small one is waited for while something is on its way (RFC 9293, 3.8.6.2.1)", () => {
    const t = new TcpTrace().establish("mss 1000", 4000);
    t.feed(10_000);
    t.drain();
    t.guest(". 1 ack 1001 win 3100").expect();
    t.guest(". 1 ack 2001 win 3100").expect(". 4001:5001 ack 1");
  });

  test("a small one with nothing on its way is used after a while", () => {
    const t = new TcpTrace().establish("mss 1000", 4000);
    t.feed(4000);
    t.drain();
    t.guest(". 1 ack 4001 win 10").feed(100).expect();
    t.pass(300).expect(". 4001:4011 ack 1");
    t.guest(". 1 ack 4011 win 4000").expect("P. 4011:4101 ack 1");
  });

  test("an update without news of data lets more go", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(2000).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001 win 0").expect();
    t.guest(". 1 ack 1001 win 1000").expect(". 1001:2001 ack 1");
  });

  test("an old segment's window is not taken", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.guest("P. 1:11 ack 1 win 1000", "P. 11:21 ack 1 win 2000");
    t.drain();
    t.guest("P. 1:11 ack 1 win 60000");
    t.drain();
    t.feed(5000).expect(". 1:1001 ack 21", ". 1001:2001 ack 21");
  });

  test("FIN goes out though it is closed", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.feed(1000).guest(". 1 ack 1001 win 0");
    t.drain();
    t.end().expect("F. 1001 ack 1");
  });
});

describe("keepalive", () => {
  test("a silent guest is asked, and kept while it answers", () => {
    const t = new TcpTrace().establish();
    t.pass(599_000).expect().pass(1000).expect(". 0 ack 1");
    t.guest(". 1 ack 1").expect();
    t.pass(599_000).expect().pass(1000).expect(". 0 ack 1");
    expect(t.socket.state).toBe("open");
  });

  test("half-closed with a guest that is gone: as well", () => {
    const t = new TcpTrace().establish();
    t.end().expect("F. 1 ack 1");
    t.guest(". 1 ack 2").expect();
    t.pass(600_000 + 6 * 30_000);
    expect(t.drain().at(-1)!.flags).toBe("R.");
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
  });

  test("a guest that is gone: six questions, then both sides are reset", () => {
    const t = new TcpTrace().establish();
    t.pass(600_000 + 6 * 30_000);
    expect(t.drain().map(one => one.flags)).toEqual([".", ".", ".", ".", ".", ".", "R."]);
    expect(t.socket.state).toBe("reset");
    expect(t.layer.flows).toBe(0);
  });
});
