/** Loss on the way to the guest: RFC 5681, RFC 6582, RFC 6675, RFC 6298. Segments of 1000 bytes. */
import { describe, expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";

const PLAIN = "mss 1000";
const SACK = "mss 1000,sack";

/** Ten segments are on their way. */
function sent(options = SACK, count = 10): TcpTrace {
  const t = new TcpTrace().establish(options);
  t.feed(count * 1000);
  expect(t.drain().length).toBe(count);
  return t;
}

describe("three duplicate acknowledgments, without SACK", () => {
  test("the first missing segment is sent again at the third", () => {
    const t = sent(PLAIN);
    t.guest(". 1 ack 1001").expect();
    t.guest(". 1 ack 1001").expect();
    t.guest(". 1 ack 1001").expect();
    t.guest(". 1 ack 1001").expect(". 1001:2001 ack 1");
    t.guest(". 1 ack 1001").expect();
    t.guest(". 1 ack 10001").expect();
    expect(t.layer.counters.fastRecoveries).toBe(1);
  });

  test("a partial acknowledgment tells of the next loss (RFC 6582)", () => {
    const t = sent(PLAIN);
    t.guest(". 1 ack 1001").guest(". 1 ack 1001", ". 1 ack 1001", ". 1 ack 1001").expect(". 1001:2001 ack 1");
    t.guest(". 1 ack 5001").expect(". 5001:6001 ack 1");
    t.guest(". 1 ack 10001").expect();
  });

  test("data with it, or another window, makes no duplicate", () => {
    const t = sent(PLAIN);
    t.guest("P. 1:2 ack 1", "P. 2:3 ack 1", "P. 3:4 ack 1", "P. 4:5 ack 1").expect(". 10001 ack 5");
    t.guest(". 5 ack 1 win 60000").guest(". 5 ack 1 win 61000").guest(". 5 ack 1 win 62000");
    t.guest(". 5 ack 1 win 63000").expect();
  });

  test("nothing on its way, no duplicates", () => {
    const t = new TcpTrace().establish(PLAIN);
    t.guest(". 1 ack 1", ". 1 ack 1", ". 1 ack 1", ". 1 ack 1").expect();
    expect(t.layer.counters.fastRecoveries).toBe(0);
  });

  test("new data goes on during recovery", () => {
    const t = sent(PLAIN);
    t.guest(". 1 ack 1", ". 1 ack 1", ". 1 ack 1").expect(". 1:1001 ack 1");
    t.feed(1000);
    t.guest(". 1 ack 1", ". 1 ack 1", ". 1 ack 1", ". 1 ack 1");
    const fresh = t.drain();
    expect(fresh[0]!.sequence).toBe(10_001);
    expect(fresh.reduce((sum, one) => sum + one.length, 0)).toBe(1000);
  });
});

describe("SACK (RFC 6675)", () => {
  test("three segments above a gap: the gap is lost", () => {
    const t = sent();
    t.guest(". 1 ack 1001 <sack 2001:3001>").expect();
    t.guest(". 1 ack 1001 <sack 2001:4001>").expect();
    t.guest(". 1 ack 1001 <sack 2001:5001>").expect(". 1001:2001 ack 1");
    t.guest(". 1 ack 1001 <sack 2001:6001>").expect();
    t.guest(". 1 ack 10001").expect();
    expect(t.layer.counters.retransmits).toBe(1);
  });

  test("one acknowledgment that covers as much is enough", () => {
    const t = sent();
    t.guest(". 1 ack 1001 <sack 2001:9001>").expect(". 1001:2001 ack 1");
  });

  test("each of several gaps is sent again, and nothing else", () => {
    const t = sent();
    t.guest(". 1 ack 1 <sack 9001:10001,sack 6001:8001,sack 1001:4001>");
    expect(t.drain().map(one => [one.sequence, one.length])).toEqual([
      [1, 1000],
      [4001, 1000],
      [5001, 1000],
    ]);
    t.guest(". 1 ack 4001 <sack 9001:10001,sack 6001:8001>").expect();
    t.guest(". 1 ack 8001 <sack 9001:10001>").expect();
    t.pass(190).expect();
  });

  test("a gap with too little above it is not lost yet", () => {
    const t = sent();
    t.guest(". 1 ack 8001 <sack 9001:10001>").expect();
    t.guest(". 1 ack 10001").expect();
    expect(t.layer.counters.retransmits).toBe(0);
  });

  test("reordering: no retransmission for two segments that overtook", () => {
    const t = sent();
    t.guest(". 1 ack 1 <sack 1001:2001>").guest(". 1 ack 1 <sack 1001:3001>").guest(". 1 ack 3001").expect();
  });

  test("duplicates that tell nothing new don't count", () => {
    const t = sent();
    for (let count = 0; count < 10; count++) t.guest(". 1 ack 1 <sack 1001:2001>");
    t.expect();
  });

  test("blocks of what was never sent, or is acknowledged, or is nothing, are not believed", () => {
    const t = sent();
    t.guest(". 1 ack 1001 <sack 20001:90001>", ". 1 ack 1001 <sack 1:1001>", ". 1 ack 1001 <sack 5001:3001>");
    t.guest(". 1 ack 1001 <sack 4001:4001>", ". 1 ack 1001 <sack 8001:10002>").expect();
  });

  test("of a guest that may not send them are not read", () => {
    const t = sent(PLAIN);
    t.guest(". 1 ack 1001 <sack 2001:9001>").expect();
  });

  test("a lost retransmission is found by the timer", () => {
    const t = sent();
    t.guest(". 1 ack 1 <sack 1001:10001>").expect(". 1:1001 ack 1");
    t.pass(250).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 10001").expect().pass(5000).expect();
  });

  test("a guest that takes back what it held gets everything again (RFC 2018, 8)", () => {
    const t = sent();
    t.guest(". 1 ack 1 <sack 1001:10001>").expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001").expect();
    t.pass(300).expect(". 1001:2001 ack 1");
    let next = 2001;
    for (let round = 0; round < 20 && next <= 10_000; round++) {
      t.guest(`. 1 ack ${next}`);
      for (const one of t.drain()) next = Math.max(next, one.sequence + one.length);
    }
    t.guest(". 1 ack 10001").expect().pass(5000).expect();
  });

  test("super-frames: the lost part of one is sent again as one frame", () => {
    const t = new TcpTrace({ config: { offload: true } }).establish("mss 1000,sack,ws 7", 4000);
    t.guest(". 1 ack 1 win 4000").feed(200_000);
    const frames = t.drain();
    const second = frames[1]!;
    const [start, end] = [second.sequence, second.sequence + second.length];
    t.guest(`. 1 ack ${start} win 4000 <sack ${end}:200001>`);
    expect(t.drain()).toMatchObject([{ sequence: start, length: second.length }]);
    t.guest(". 1 ack 200001 win 4000").expect();
  });

  test("FIN is part of what is lost", () => {
    const t = new TcpTrace().establish(SACK);
    t.end(900).expect("FP. 1:901 ack 1");
    t.pass(250).expect("FP. 1:901 ack 1");
    t.guest(". 1 ack 901").expect().pass(450).expect("FP. 901 ack 1");
    t.guest(". 1 ack 902").expect();
  });
});

describe("the retransmission timer (RFC 6298)", () => {
  test("sends the first segment again, with growing pauses, and gives up in the end", () => {
    const t = sent(SACK, 2);
    const times: number[] = [];
    for (let step = 0; t.layer.flows > 0 && step < 100_000; step++) {
      t.pass(10);
      for (const one of t.drain()) if (one.flags !== "R.") times.push(step * 10);
    }
    const gaps = times.slice(1).map((time, index) => time - times[index]!);
    expect(times[0]).toBeGreaterThanOrEqual(190);
    expect(gaps[0]! / times[0]!).toBeCloseTo(2, 0);
    expect(gaps[1]! / gaps[0]!).toBeCloseTo(2, 0);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(60_010);
    expect(times.length).toBe(12);
    expect(t.socket.state).toBe("reset");
  });

  test("afterwards slow start: one segment, then as many as were acknowledged", () => {
    const t = sent();
    t.pass(300).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001").expect(". 1001:2001 ack 1", ". 2001:3001 ack 1");
    t.guest(". 1 ack 3001");
    expect(t.drain().map(one => one.sequence)).toEqual([3001, 4001, 5001, 6001]);
    t.guest(". 1 ack 10001").expect().pass(5000).expect();
  });

  test("what is sacked is not sent again", () => {
    const t = sent();
    t.guest(". 1 ack 1 <sack 1001:2001>").expect();
    t.pass(300).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 2001").expect(". 2001:3001 ack 1", ". 3001:4001 ack 1", ". 4001:5001 ack 1");
  });

  test("starts anew with each acknowledgment, and stops with the last", () => {
    const t = sent(SACK, 3);
    t.pass(150).guest(". 1 ack 1001").pass(150).guest(". 1 ack 2001").pass(150).expect();
    t.guest(". 1 ack 3001").pass(100_000).expect();
  });

  test("follows the measured round trip, and measures nothing on what was sent twice (Karn)", () => {
    const t = new TcpTrace().establish(PLAIN);
    for (let round = 0; round < 20; round++) {
      t.feed(999);
      t.drain();
      t.pass(400).drain();
      t.guest(`. 1 ack ${999 * (round + 1) + 1}`);
      t.drain();
    }
    const before = t.layer.counters.timeouts;
    t.feed(999);
    t.drain();
    t.pass(400).drain();
    // At 400 ms a round trip the timer is beyond it by then.
    expect(before).toBeLessThan(20);
    t.guest(". 1 ack 20980").expect();
  });

  test("an answer to the first copy after all: nothing more is sent again", () => {
    const t = sent(SACK, 4);
    t.pass(300).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 4001").expect().pass(10_000).expect();
  });

  test("host data read meanwhile follows when the guest is back", () => {
    const t = sent(SACK, 2);
    t.feed(500).expect("P. 2001:2501 ack 1");
    t.pass(300).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 2501").expect();
    t.feed(500).expect("P. 2501:3001 ack 1");
  });
});
