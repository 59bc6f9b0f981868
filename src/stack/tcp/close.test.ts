/** How connections end: RFC 9293, 3.6 and 3.10.7.4, from each state and from either side. */
import { describe, expect, test } from "bun:test";
import { configFor } from "../../../test/support/stack.ts";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";
import type { StackConfig } from "../config.ts";

const gone = (t: TcpTrace) => {
  expect(t.layer.flows).toBe(0);
  expect(t.layer.promised).toBe(0);
  expect(t.timers.next()).toBe(Number.POSITIVE_INFINITY);
};

describe("the guest ends first", () => {
  test("CLOSE-WAIT: the host's peer still sends, then LAST-ACK, then nothing is left", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 1 ack 1").expect(". 1 ack 2");
    expect(t.socket.state).toBe("shut");
    t.feed(100).expect("P. 1:101 ack 2");
    t.guest(". 2 ack 101").expect();
    t.end().expect("F. 101 ack 2");
    expect(t.socket.state).toBe("closed");
    t.guest(". 2 ack 102").expect();
    gone(t);
  });

  test("data and FIN in one segment", () => {
    const t = new TcpTrace().establish();
    t.guest("FP. 1:11 ack 1").expect(". 1 ack 12");
    expect(t.socket.taken).toBe(10);
    expect(t.socket.state).toBe("shut");
  });

  test("FIN is repeated and acknowledged again; the host's side is shut once", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 1 ack 1").expect(". 1 ack 2");
    t.guest("F. 1 ack 1").expect(". 1 ack 2");
  });

  test("data after FIN is not taken", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 1 ack 1").expect(". 1 ack 2");
    t.guest("P. 2:12 ack 1").expect(". 1 ack 2");
    expect(t.socket.taken).toBe(0);
  });

  test("FIN before missing data waits for it", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 11 ack 1").expect(". 1 ack 1");
    expect(t.socket.state).toBe("open");
    t.guest("P. 1:11 ack 1").expect(". 1 ack 12");
    expect(t.socket.state).toBe("shut");
  });

  test("FIN with data behind a gap waits for what is missing", () => {
    const t = new TcpTrace().establish();
    t.guest("FP. 11:21 ack 1").expect(". 1 ack 1");
    t.guest("P. 1:11 ack 1").expect(". 1 ack 22");
    expect(t.socket.taken).toBe(20);
    expect(t.socket.state).toBe("shut");
  });

  test("the host's socket is shut only when it has taken everything", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 4;
    t.guest("FP. 1:11 ack 1").expect(". 1 ack 12");
    expect(t.socket.state).toBe("open");
    t.makeRoom(3);
    expect(t.socket.state).toBe("open");
    t.makeRoom(3);
    expect(t.socket.taken).toBe(10);
    expect(t.socket.state).toBe("shut");
  });

  test("LAST-ACK: the FIN is sent again until it is acknowledged", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 1 ack 1").expect(". 1 ack 2").end().expect("F. 1 ack 2");
    t.pass(250).expect("FP. 1 ack 2");
    t.pass(450).expect("FP. 1 ack 2");
    t.guest(". 2 ack 2").expect();
    gone(t);
  });

  test("LAST-ACK: RST ends it", () => {
    const t = new TcpTrace().establish();
    t.guest("F. 1 ack 1").end();
    t.drain();
    t.guest("R 2").expect();
    gone(t);
  });

  test("the guest is through while the host's socket still takes: it gets everything, and its end", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    t.guest("FP. 1:11 ack 1").expect(". 1 ack 12");
    t.end().expect("F. 1 ack 12");
    t.guest(". 12 ack 2").expect();
    expect(t.layer.flows).toBe(0);
    expect(t.socket.state).toBe("open");
    t.makeRoom(4);
    t.makeRoom(100);
    expect(t.socket.taken).toBe(10);
    expect(t.socket.state).toBe("closed");
    t.expect();
    gone(t);
  });
});

describe("the host's peer ends first", () => {
  test("FIN-WAIT-1, FIN-WAIT-2, the guest's data still arrives, TIME-WAIT", () => {
    const t = new TcpTrace().establish();
    t.end().expect("F. 1 ack 1");
    t.guest(". 1 ack 2").expect();
    t.guest("P. 1:101 ack 2").expect(". 2 ack 101");
    expect(t.socket.taken).toBe(100);
    t.guest("F. 101 ack 2").expect(". 2 ack 102");
    expect(t.socket.state).toBe("closed");
    expect(t.layer.flows).toBe(1);
    t.pass(4000).expect();
    gone(t);
  });

  test("FIN goes with the last data when the end is known by then", () => {
    const t = new TcpTrace().establish();
    t.end(10).expect("FP. 1:11 ack 1");
  });

  test("FIN-WAIT-1: data and FIN of the guest with the acknowledgment of ours", () => {
    const t = new TcpTrace().establish();
    t.end().expect("F. 1 ack 1");
    t.guest("FP. 1:11 ack 2").expect(". 2 ack 12");
    expect(t.socket.taken).toBe(10);
    expect(t.socket.state).toBe("closed");
    t.pass(4000);
    gone(t);
  });

  test("FIN-WAIT-1: the FIN is sent again with the data before it", () => {
    const t = new TcpTrace().establish();
    t.end(10).expect("FP. 1:11 ack 1");
    t.pass(250).expect("FP. 1:11 ack 1");
    t.guest(". 1 ack 12").expect().pass(10_000).expect();
  });

  test("FIN-WAIT-2: half-closed, the guest may take its time", () => {
    const t = new TcpTrace().establish();
    t.end().guest(". 1 ack 2");
    t.drain();
    t.pass(300_000).expect();
    t.guest("P. 1:11 ack 2").expect(". 2 ack 11");
    expect(t.socket.taken).toBe(10);
  });

  test("both at once: CLOSING, then TIME-WAIT", () => {
    const t = new TcpTrace().establish();
    t.end().expect("F. 1 ack 1");
    t.guest("F. 1 ack 1").expect(". 2 ack 2");
    expect(t.socket.state).toBe("closed");
    t.guest(". 2 ack 2").expect();
    expect(t.layer.flows).toBe(1);
    t.pass(4000).expect();
    gone(t);
  });

  test("CLOSING: a repeated FIN is acknowledged, ours is repeated", () => {
    const t = new TcpTrace().establish();
    t.end().guest("F. 1 ack 1");
    t.drain();
    t.guest("F. 1 ack 1").expect(". 2 ack 2");
    t.pass(250).expect("FP. 1 ack 2");
  });

  test("CLOSING: RST ends it", () => {
    const t = new TcpTrace().establish();
    t.end().guest("F. 1 ack 1");
    t.drain();
    t.guest("R 2").expect();
    gone(t);
  });

  test("the end waits behind data that the guest has no room for", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.end(1500).expect(". 1:1001 ack 1");
    t.guest(". 1 ack 1001 win 1000").expect("FP. 1001:1501 ack 1");
  });
});

describe("TIME-WAIT", () => {
  const waiting = (options = "mss 1460", config: Partial<StackConfig> = {}) => {
    const t = new TcpTrace({ config }).establish(options);
    const stamp = options.includes("ts ") ? " <ts 3 0>" : "";
    t.end().guest(`F. 1 ack 2${stamp}`);
    t.drain();
    expect(t.layer.flows).toBe(1);
    return t;
  };

  test("a repeated FIN is acknowledged and the wait begins anew", () => {
    const t = waiting();
    t.pass(3000).guest("F. 1 ack 2").expect(". 2 ack 2");
    t.pass(3000);
    expect(t.layer.flows).toBe(1);
    t.pass(1000);
    gone(t);
  });

  test("a new SYN with a later number opens a new connection", () => {
    const t = waiting();
    t.guestIsn += 100_000;
    t.guest("S 0 win 65535 <mss 1460>").expect();
    expect(t.host.sockets.length).toBe(2);
    t.ready("W").expect("S. 0 ack 1");
    t.guest(". 1 ack 1").guest("P. 1:2 ack 1").expect(". 1 ack 2");
  });

  test("a new SYN with a later timestamp opens one too, whatever its number", () => {
    const t = waiting("mss 1460,ts 1 0");
    t.guestIsn -= 100_000;
    t.guest("S 0 win 65535 <mss 1460,ts 9 0>").ready("W").expect("S. 0 ack 1");
  });

  test("an old SYN does not", () => {
    const t = waiting();
    t.guestIsn -= 100_000;
    t.guest("S 0 win 65535 <mss 1460>");
    t.guestIsn += 100_000;
    expect(t.drain().length).toBe(1);
    expect(t.host.sockets.length).toBe(1);
  });

  test("RST does not cut it short (RFC 1337)", () => {
    const t = waiting();
    t.guest("R 2").expect();
    expect(t.layer.flows).toBe(1);
  });

  test("makes room when flows run out", () => {
    const t = waiting("mss 1460", { limits: { ...configFor().limits, totalBuffer: 1 << 30 } });
    for (let port = 1; port <= 1000; port++) {
      t.guestPort = port;
      t.guest("S 0 win 65535 <mss 1460>").expect();
    }
    expect(t.layer.flows).toBe(1000);
    t.guestPort = 2000;
    t.ourIsn = undefined;
    t.guest("S 0 win 65535 <mss 1460>").expect("R. 0 ack 1");
  });
});
