/** Segments that somebody else may have sent, and old ones: RFC 5961, PAWS (RFC 7323), RFC 5927. */
import { describe, expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";

describe("RST (RFC 5961, 3)", () => {
  test("only the exact number resets; elsewhere in the window it is challenged, outside it is nothing", () => {
    const t = new TcpTrace().establish();
    t.guest("R 2").expect(". 1 ack 1");
    t.guest("R 60000").expect(". 1 ack 1");
    t.guest("R 0").expect();
    t.guest("R 70000").expect();
    expect(t.socket.state).toBe("open");
    t.guest("R 1").expect();
    expect(t.socket.state).toBe("reset");
  });
});

describe("SYN in a synchronized state (RFC 5961, 4)", () => {
  test("is challenged, in the window and outside of it", () => {
    const t = new TcpTrace().establish();
    t.guest("S 1").expect(". 1 ack 1");
    t.guest("S 500000").expect(". 1 ack 1");
    t.guest("S. 1 ack 1").expect(". 1 ack 1");
    expect(t.socket.state).toBe("open");
  });

  test("a guest that has forgotten the connection resets it by the challenge, and opens it anew", () => {
    const t = new TcpTrace().establish();
    t.guestIsn += 12_345;
    t.guest("S 0 win 65535 <mss 1460>").expect(". 1 ack -12344");
    t.guest("R -12344").expect();
    expect(t.socket.state).toBe("reset");
    t.guest("S 0 win 65535 <mss 1460>").ready("W").expect("S. 0 ack 1");
  });
});

describe("acknowledgments that can't be (RFC 5961, 5)", () => {
  test("of what was never sent", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack 2").expect(". 1 ack 1");
    expect(t.socket.taken).toBe(0);
  });

  test("of a past beyond the largest window", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack -70000").expect(". 1 ack 1");
    expect(t.socket.taken).toBe(0);
  });

  test("of a near past is only old: the data with it counts", () => {
    const t = new TcpTrace().establish();
    t.feed(100).expect("P. 1:101 ack 1");
    t.guest(". 1 ack 101").guest("P. 1:11 ack 51").expect(". 101 ack 11");
    expect(t.socket.taken).toBe(10);
  });

  test("none at all: the segment is dropped", () => {
    const t = new TcpTrace().establish();
    t.guest("P 1:11").expect();
    expect(t.socket.taken).toBe(0);
  });
});

describe("challenges are limited (RFC 5961, 7)", () => {
  test("ten in five seconds", () => {
    const t = new TcpTrace().establish();
    for (let count = 0; count < 50; count++) t.guest("R 2");
    expect(t.drain().length).toBe(10);
    t.pass(5000);
    for (let count = 0; count < 50; count++) t.guest("R 2");
    expect(t.drain().length).toBe(10);
  });
});

describe("numbers outside of the window", () => {
  test("old data is acknowledged and not taken twice", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack 1").expect(". 1 ack 11");
    t.guest("P. 1:11 ack 1").expect(". 1 ack 11");
    expect(t.socket.taken).toBe(10);
  });

  test("partly old data: the new part is taken", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack 1").expect(". 1 ack 11");
    t.guest("P. 6:16 ack 1").expect(". 1 ack 16");
    expect(t.socket.taken).toBe(15);
  });

  test("data beyond the window is cut", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 60001:70001 ack 1").expect(". 1 ack 1");
    for (let start = 1; start < 60_001; start += 20_000) t.guest(`. ${start}:${start + 20_000} ack 1`);
    expect(t.socket.taken).toBe(65_535);
  });

  test("data wholly beyond the window is answered with where we are", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 70000:70010 ack 1").expect(". 1 ack 1");
    expect(t.socket.taken).toBe(0);
  });

  test("a keepalive probe of the guest's is answered", () => {
    const t = new TcpTrace().establish();
    t.guest(". 0 ack 1").expect(". 1 ack 1");
    t.guest("P. 0:1 ack 1").expect(". 1 ack 1");
    expect(t.socket.taken).toBe(0);
  });

  test("an acknowledgment at the window's right edge counts: the window may be full", () => {
    const t = new TcpTrace().establish();
    t.feed(100).expect("P. 1:101 ack 1");
    t.guest(". 65536 ack 101").expect();
    t.pass(1000).expect();
  });
});

describe("timestamps (RFC 7323)", () => {
  const stamped = () => new TcpTrace().establish("mss 1460,sack,ts 1 0");

  test("an older one is dropped and challenged (PAWS)", () => {
    const t = stamped();
    t.guest("P. 1:11 ack 1 <ts 10 0>").expect(". 1 ack 11 <ts 10>");
    t.guest("P. 11:21 ack 1 <ts 9 0>").expect(". 1 ack 11 <ts 10>");
    expect(t.socket.taken).toBe(10);
    t.guest("P. 11:21 ack 1 <ts 10 0>").expect(". 1 ack 21 <ts 10>");
  });

  test("the comparison wraps", () => {
    const t = new TcpTrace().establish("mss 1460,ts 4294967295 0");
    t.guest("P. 1:11 ack 1 <ts 5 0>").expect(". 1 ack 11 <ts 5>");
    t.guest("P. 11:21 ack 1 <ts 4294967290 0>").expect(". 1 ack 11");
  });

  test("what is echoed is of the segment that moved the edge, not of one behind a gap", () => {
    const t = stamped();
    t.guest("P. 11:21 ack 1 <ts 20 0>").expect(". 1 ack 1 <ts 2,sack 11:21>");
    t.guest("P. 1:11 ack 1 <ts 30 0>").expect(". 1 ack 21 <ts 30>");
  });

  test("a segment without one is dropped, a reset without one is not", () => {
    const t = stamped();
    t.guest("P. 1:11 ack 1").expect();
    expect(t.socket.taken).toBe(0);
    t.guest("R 1").expect();
    expect(t.socket.state).toBe("reset");
  });

  test("after 24 days of silence any is taken", () => {
    const t = stamped();
    t.guest("P. 1:11 ack 1 <ts 10 0>").expect(". 1 ack 11");
    t.now += 25 * 24 * 3600 * 1000;
    t.guest("P. 11:21 ack 1 <ts 9 0>").expect(". 1 ack 21 <ts 9>");
  });

  test("ours tick in milliseconds from an offset that is secret", () => {
    const t = stamped();
    t.feed(1);
    const first = t.sent[0]!.timestamp;
    t.drain();
    t.now += 250;
    t.feed(1);
    expect((t.sent[0]!.timestamp - first) | 0).toBe(250);
    t.drain();
  });
});

describe("initial sequence numbers (RFC 6528)", () => {
  test("differ by port, and grow with time for the same ports", () => {
    const first = new TcpTrace().establish();
    const other = new TcpTrace();
    other.guestPort = 40_001;
    other.establish();
    expect(other.ourIsn).not.toBe(first.ourIsn);
    const later = new TcpTrace();
    later.now += 1000;
    later.establish();
    expect((later.ourIsn! - first.ourIsn!) | 0).toBe(250_000);
  });
});
