/** Data both ways, and when it is acknowledged. */
import { describe, expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";

describe("data from the guest", () => {
  test("a batch of segments is acknowledged once", () => {
    const t = new TcpTrace().establish();
    t.guest(". 1:1461 ack 1", ". 1461:2921 ack 1", "P. 2921:3001 ack 1").expect(". 1 ack 3001");
    expect(t.socket.taken).toBe(3000);
  });

  test("a super-frame is acknowledged at once", () => {
    const t = new TcpTrace({ config: { offload: true } }).establish("mss 1460,ws 7");
    t.guest("P. 1:60001 ack 1").expect(". 1 ack 60001");
  });

  test("less than two segments wait a millisecond for an answer that takes the acknowledgment along", () => {
    const t = new TcpTrace().establish();
    t.batch("P. 1:11 ack 1").expect();
    t.feed(10).expect("P. 1:11 ack 11");
    t.pass(100).guest(". 11 ack 11").expect();
    t.batch("P. 11:21 ack 11").expect();
    t.pass(1).expect(". 11 ack 21");
    t.feed(10).expect("P. 11:21 ack 21");
  });

  test("two full segments are acknowledged at once", () => {
    const t = new TcpTrace().establish();
    t.batch("P. 1:1461 ack 1", "P. 1461:2921 ack 1").expect(". 1 ack 2921");
  });

  test("FIN waits for an answer as data does: it is acknowledged with our own, or in time", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack 1").feed(10);
    t.drain();
    t.batch("FP. 11:21 ack 11").expect().pass(1).expect(". 11 ack 22");
    const other = new TcpTrace().establish();
    other.batch("F. 1 ack 1").end().expect("F. 1 ack 2");
    other.guest(". 2 ack 2").expect();
    expect(other.layer.flows).toBe(0);
  });

  test("behind a gap it is kept, and each segment acknowledged by itself", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 101:201 ack 1", "P. 201:301 ack 1", "P. 301:401 ack 1");
    t.expect(". 1 ack 1", ". 1 ack 1", ". 1 ack 1");
    expect(t.socket.taken).toBe(0);
    t.guest("P. 1:101 ack 1").expect(". 1 ack 401");
    expect(t.socket.taken).toBe(400);
  });

  test("SACK says what is kept, the latest first", () => {
    const t = new TcpTrace().establish("mss 1460,sack");
    t.guest("P. 101:201 ack 1").expect(". 1 ack 1 <sack 101:201>");
    t.guest("P. 301:401 ack 1").expect(". 1 ack 1 <sack 301:401,sack 101:201>");
    t.guest("P. 201:251 ack 1").expect(". 1 ack 1 <sack 101:251,sack 301:401>");
    t.guest("P. 251:301 ack 1").expect(". 1 ack 1 <sack 101:401>");
    t.guest("P. 1:101 ack 1").expect(". 1 ack 401 <>");
  });

  test("at most four blocks, three with timestamps", () => {
    for (const [options, most] of [
      ["mss 1460,sack", 4],
      ["mss 1460,sack,ts 1 0", 3],
    ] as const) {
      const t = new TcpTrace().establish(options);
      const stamp = options.includes("ts") ? " <ts 2 0>" : "";
      for (let index = 1; index <= 6; index++) t.guest(`P. ${index * 20}:${index * 20 + 10} ack 1${stamp}`);
      expect(t.drain().at(-1)!.options!.match(/sack/g)!.length).toBe(most);
    }
  });

  test("what came twice is told first (DSACK)", () => {
    const t = new TcpTrace().establish("mss 1460,sack");
    t.guest("P. 1:101 ack 1").expect(". 1 ack 101");
    t.guest("P. 1:101 ack 1").expect(". 1 ack 101 <sack 1:101>");
    t.guest("P. 201:301 ack 1").expect(". 1 ack 101 <sack 201:301>");
    t.guest("P. 201:301 ack 1").expect(". 1 ack 101 <sack 201:301,sack 201:301>");
  });

  test("no SACK without the option", () => {
    const t = new TcpTrace().establish("mss 1460");
    t.guest("P. 101:201 ack 1").expect(". 1 ack 1 <>");
  });

  test("urgent data is data", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 1:11 ack 1").expect(". 1 ack 11");
    expect(t.socket.taken).toBe(10);
  });

  test("numbers wrap in the middle of a segment", () => {
    const t = new TcpTrace({ guestIsn: -50 }).establish();
    t.guest("P. 1:201 ack 1").expect(". 1 ack 201");
    t.guest("P. 301:401 ack 1").expect(". 1 ack 201").guest("P. 201:301 ack 1").expect(". 1 ack 401");
    expect(t.socket.taken).toBe(400);
  });

  test("segments that overlap each other in every way make one stream", () => {
    const t = new TcpTrace().establish();
    t.guest("P. 51:101 ack 1", "P. 31:71 ack 1", "P. 91:151 ack 1", "P. 21:201 ack 1", "P. 1:61 ack 1");
    expect(t.drain().at(-1)!.ack).toBe(201);
    expect(t.socket.taken).toBe(200);
  });
});

describe("data to the guest", () => {
  test("goes out in segments, the last one pushed", () => {
    const t = new TcpTrace().establish();
    t.feed(3000).expect(". 1:1461 ack 1", ". 1461:2921 ack 1", "P. 2921:3001 ack 1");
    t.guest(". 1 ack 3001").expect();
  });

  test("timestamps take their twelve bytes off each", () => {
    const t = new TcpTrace().establish("mss 1460,ts 1 0");
    t.feed(1500).expect(". 1:1449 ack 1", "P. 1449:1501 ack 1");
  });

  test("so do SACK blocks", () => {
    const t = new TcpTrace().establish("mss 1460,sack");
    t.guest("P. 101:201 ack 1").expect(". 1 ack 1");
    t.feed(1500).expect(". 1:1449 ack 1 <sack 101:201>", "P. 1449:1501 ack 1 <sack 101:201>");
  });

  test("with offload, in super-frames of whole segments", () => {
    const t = new TcpTrace({ config: { offload: true } }).establish("mss 1460,ws 7", 8000);
    t.guest(". 1 ack 1 win 8000").feed(200_000);
    const frames = t.sent.map(one => [one.line.length, one.segmentSize]);
    t.drain();
    expect(frames[0]![0]).toBeGreaterThan(10_000);
    expect(frames.every(([length, size]) => length! <= 65_455 && (size === 1460 || length! <= 1460))).toBe(
      true,
    );
    expect(frames.reduce((sum, [length]) => sum + length!, 0)).toBe(200_000);
  });

  test("with offload and MTU 65520 a super-frame is one segment", () => {
    const t = new TcpTrace({ config: { offload: true, mtu: 65_520 } }).establish("mss 65480,ws 7", 8000);
    t.guest(". 1 ack 1 win 8000").feed(200_000);
    expect(t.sent.every(one => one.segmentSize === 0 && one.line.length <= 65_480)).toBe(true);
    t.drain();
  });

  test("a short read is the last until the next edge", () => {
    const t = new TcpTrace().establish();
    t.feed(100);
    expect(t.socket.receives).toBe(1);
    t.guest(". 1 ack 101");
    expect(t.socket.receives).toBe(1);
    t.drain();
  });

  test("both directions at once: data carries the acknowledgment", () => {
    const t = new TcpTrace().establish();
    t.inject("P. 1:101 ack 1");
    t.feed(50).expect("P. 1:51 ack 101");
  });

  test("more than the window is read only as the window moves", () => {
    const t = new TcpTrace().establish("mss 1000", 3000);
    t.feed(10_000).expect(". 1:1001 ack 1", ". 1001:2001 ack 1", ". 2001:3001 ack 1");
    expect(t.socket.given).toBe(3000);
    t.guest(". 1 ack 3001 win 3000").expect(". 3001:4001 ack 1", ". 4001:5001 ack 1", ". 5001:6001 ack 1");
    expect(t.socket.given).toBe(6000);
  });

  test("a megabyte, acknowledged piece by piece, arrives whole; the memory for it is given back", () => {
    const t = new TcpTrace().establish("mss 1460,ws 4", 4000);
    const promised = t.layer.promised;
    t.guest(". 1 ack 1 win 4000");
    t.socket.available = 1 << 20;
    t.ready("R");
    let received = 1;
    while (received <= 1 << 20) {
      const segments = t.drain();
      if (segments.length === 0) throw new Error(`stalls at ${received}`);
      for (const segment of segments) {
        expect(segment.sequence).toBe(received);
        received += segment.length;
      }
      t.pass(1).guest(`. 1 ack ${received} win 4000`);
    }
    expect(received).toBe((1 << 20) + 1);
    expect(t.layer.promised).toBeGreaterThan(promised);
    t.pass(500).expect();
    expect(t.layer.promised).toBe(promised);
  });
});
