/** How connections begin and are refused (RFC 9293, 3.10.7.1 to 3.10.7.4). */
import { describe, expect, test } from "bun:test";
import { configFor } from "../../../test/support/stack.ts";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";
import { ERRNO } from "../errno.ts";

const SYN = "S 0 win 64240 <mss 1460,sack,ts 100 0,ws 7>";
const limits = configFor().limits;

describe("the guest's SYN", () => {
  test("a whole conversation asks for nothing twice and leaves nothing", () => {
    const t = new TcpTrace();
    t.guest(SYN).expect();
    t.guest(SYN).expect();
    t.ready("W").expect("S. 0 ack 1 win 65504 <mss 1460,sack,ts 100,ws 5>");
    t.guest(". 1 ack 1 win 502 <ts 101 0>").expect();
    t.guest("P. 1:101 ack 1 win 502 <ts 102 0>").expect(". 1 ack 101 <ts 102>");
    expect(t.socket.taken).toBe(100);
    t.feed(200).expect("P. 1:201 ack 101");
    t.guest(". 101 ack 201 win 502 <ts 103 0>").expect();
    t.guest("F. 101 ack 201 win 502 <ts 103 0>").expect(". 201 ack 102");
    expect(t.socket.state).toBe("shut");
    t.end(100).expect("FP. 201:301 ack 102");
    t.guest(". 102 ack 302 win 502 <ts 103 0>").expect();
    expect(t.layer.flows).toBe(0);
    expect(t.layer.promised).toBe(0);
    expect(t.timers.next()).toBe(Number.POSITIVE_INFINITY);
  });

  test("is answered only once the host's socket is connected", () => {
    const t = new TcpTrace();
    t.guest(SYN).expect();
    t.pass(20_000).expect();
    expect(t.host.sockets.length).toBe(1);
    expect(t.socket.to).toEqual({
      kind: "internet",
      family: 4,
      address: Uint8Array.of(192, 0, 2, 7),
      port: 80,
    });
    t.ready("W").expect("S. 0 ack 1");
  });

  test("repeated while the host connects is absorbed", () => {
    const t = new TcpTrace();
    t.guest(SYN).pass(1000).guest(SYN).pass(2000).guest(SYN).expect();
    expect(t.host.sockets.length).toBe(1);
  });

  test("with another number while the host connects begins another attempt", () => {
    const t = new TcpTrace();
    t.guest(SYN);
    t.guestIsn += 5000;
    t.guest(SYN).expect();
    expect(t.host.sockets.map(socket => socket.state)).toEqual(["reset", "open"]);
    t.ready("W").expect("S. 0 ack 1");
  });

  test("repeated after the answer is answered again, with the same number", () => {
    const t = new TcpTrace();
    t.guest(SYN).ready("W").expect("S. 0 ack 1");
    const isn = t.ourIsn;
    t.guest(SYN).expect("S. 0 ack 1");
    expect(t.ourIsn).toBe(isn);
  });

  test("uses what both sides have: without options no scaling, no SACK, no timestamps, 536 bytes", () => {
    const t = new TcpTrace();
    t.guest("S 0 win 1000").ready("W").expect("S. 0 ack 1 win 65535 <mss 1460>");
    t.guest(". 1 ack 1 win 60000").feed(536 * 2 + 1);
    t.expect(". 1:537 ack 1", ". 537:1073 ack 1", "P. 1073:1074 ack 1");
  });

  test("with a tiny MSS does not make us send tiny segments", () => {
    const t = new TcpTrace();
    t.guest("S 0 win 60000 <mss 1>").ready("W").expect("S. 0 ack 1");
    t.guest(". 1 ack 1").feed(89).expect(". 1:89 ack 1", "P. 89:90 ack 1");
  });

  test("with an MSS beyond our MTU is cut to it", () => {
    const t = new TcpTrace();
    t.guest("S 0 win 60000 <mss 9000>").ready("W").expect("S. 0 ack 1");
    t.guest(". 1 ack 1").feed(3000).expect(". 1:1461 ack 1", ". 1461:2921 ack 1", "P. 2921:3001 ack 1");
  });

  test("over IPv6: the MSS is 20 bytes less, the default is 1220", () => {
    const t = new TcpTrace({ family: 6 });
    t.guest("S 0 win 60000").ready("W").expect("S. 0 ack 1 <mss 1440>");
    t.guest(". 1 ack 1").feed(1300).expect(". 1:1221 ack 1", "P. 1221:1301 ack 1");
    expect(t.socket.to.address.length).toBe(16);
  });

  test("a scale beyond 14 is taken as 14", () => {
    const t = new TcpTrace();
    t.guest("S 0 win 100 <mss 1460,ws 20>").ready("W").guest(". 1 ack 1 win 1");
    t.drain();
    t.feed(40_000);
    const sent = t.drain().reduce((sum, one) => sum + one.length, 0);
    expect(sent).toBeLessThanOrEqual(1 << 14);
    expect(sent).toBeGreaterThan(3 << 12);
  });

  test("damaged, or too short for its own header, is nobody's", () => {
    const t = new TcpTrace();
    t.inject(SYN, true);
    expect(t.host.sockets.length).toBe(0);
    expect(t.layer.counters.badSegments).toBe(1);
    t.expect();
  });

  test("with FIN, or RST, opens nothing", () => {
    const t = new TcpTrace();
    t.guest("SR 0").expect();
    t.guest("SF 0").expect("R. 0 ack 2");
    expect(t.host.sockets.length).toBe(0);
  });
});

describe("answers of the guest to our SYN-ACK", () => {
  const answered = () => {
    const t = new TcpTrace();
    t.guest(SYN).ready("W").expect("S. 0 ack 1");
    return t;
  };

  test("a wrong acknowledgment is reset, the attempt goes on", () => {
    const t = answered();
    t.guest(". 1 ack 5 <ts 101 0>").expect("R 5");
    t.guest(". 1 ack 1 <ts 101 0>").expect();
    t.guest("P. 1:2 ack 1 <ts 101 0>").expect(". 1 ack 2");
  });

  test("data with the acknowledgment is taken", () => {
    const t = answered();
    t.guest("P. 1:11 ack 1 <ts 101 0>").expect(". 1 ack 11");
    expect(t.socket.taken).toBe(10);
  });

  test("FIN with the acknowledgment is taken", () => {
    const t = answered();
    t.guest("F. 1 ack 1 <ts 101 0>").expect(". 1 ack 2");
    expect(t.socket.state).toBe("shut");
  });

  test("RST with the exact number ends it, and the host's peer is reset", () => {
    const t = answered();
    t.guest("R 1").expect();
    expect(t.socket.state).toBe("reset");
    expect(t.layer.flows).toBe(0);
  });

  test("RST elsewhere in the window is challenged", () => {
    const t = answered();
    t.guest("R 100").expect(". 1 ack 1");
    expect(t.socket.state).toBe("open");
  });

  test("none: the SYN-ACK is repeated with growing pauses, then both sides are reset", () => {
    const t = answered();
    const times: number[] = [];
    for (let second = 1; second <= 70; second++) {
      t.pass(1000);
      const [answer] = t.drain();
      if (answer) times.push(second);
      if (answer) expect(answer.flags).toBe(second < 63 ? "S." : "R.");
    }
    expect(times).toEqual([1, 3, 7, 15, 31, 63]);
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
  });

  test("data of the host waits for the handshake", () => {
    const t = answered();
    t.feed(10).expect();
    t.guest(". 1 ack 1 <ts 101 0>").expect("P. 1:11 ack 1");
  });
});

describe("a connection that the host can't make", () => {
  const failing = (errno: number) => {
    const t = new TcpTrace();
    t.guest(SYN).expect();
    t.socket.error = errno;
    t.ready("WE");
    expect(t.layer.flows).toBe(0);
    expect(t.layer.promised).toBe(0);
    expect(t.socket.state).toBe("closed");
    return t;
  };

  test("refused: RST that acknowledges the SYN", () => {
    failing(ERRNO.ECONNREFUSED).expect("R. 0 ack 1");
  });

  test.each([
    ["ENETUNREACH", ERRNO.ENETUNREACH],
    ["EHOSTUNREACH", ERRNO.EHOSTUNREACH],
    ["EACCES", ERRNO.EACCES],
  ])("%s: an ICMP error that quotes the SYN", (_, errno) => {
    const t = failing(errno);
    t.expect();
    expect(t.reports).toEqual([`${errno} 40000>80 0`]);
  });

  test("timed out: silence, as from a host that is not there", () => {
    const t = failing(ERRNO.ETIMEDOUT);
    t.expect();
    expect(t.reports).toEqual([]);
  });

  test("at once, by the socket's own refusal", () => {
    const t = new TcpTrace();
    t.host.refusal = -ERRNO.ENETUNREACH;
    t.guest(SYN).expect();
    expect(t.reports).toEqual([`${ERRNO.ENETUNREACH} 40000>80 0`]);
    t.host.refusal = -ERRNO.ECONNREFUSED;
    t.guest(SYN).expect("R. 0 ack 1");
  });

  test("for want of descriptors: silence and a count, and the guest's next SYN tries again", () => {
    const t = new TcpTrace();
    t.host.refusal = -ERRNO.EMFILE;
    t.guest(SYN).expect();
    expect(t.layer.counters.refusedSockets).toBe(1);
    t.host.refusal = 0;
    t.guest(SYN).ready("W").expect("S. 0 ack 1");
  });

  test("by the policy", () => {
    const t = new TcpTrace();
    t.route = ERRNO.ECONNREFUSED;
    t.guest(SYN).expect("R. 0 ack 1");
    t.route = ERRNO.EHOSTUNREACH;
    t.guest(SYN).expect();
    expect(t.reports).toEqual([`${ERRNO.EHOSTUNREACH} 40000>80 0`]);
    t.route = 0;
    t.guest(SYN).expect();
    expect(t.host.sockets.length).toBe(0);
    expect(t.layer.promised).toBe(0);
  });

  test("the guest gives up first: its RST ends the attempt, a foreign one does not", () => {
    const t = new TcpTrace();
    t.guest(SYN).guest("R 77");
    expect(t.socket.state).toBe("open");
    t.guest("R 1").expect();
    expect(t.socket.state).toBe("reset");
    expect(t.layer.flows).toBe(0);
  });
});

describe("limits", () => {
  test("flows: one more is refused by RST and counted, and fits again when one has ended", () => {
    const t = new TcpTrace({ config: { limits: { ...limits, tcpFlows: 2 } } });
    for (const port of [1, 2]) {
      t.guestPort = port;
      t.guest(SYN).expect();
    }
    t.guestPort = 3;
    t.guest(SYN).expect("R. 0 ack 1");
    expect(t.layer.counters.refusedFlows).toBe(1);
    expect(t.layer.refused).toBe(1);
    t.guestPort = 2;
    t.guest("R 1");
    t.guestPort = 3;
    t.guest(SYN).expect();
  });

  test("memory: new flows get small windows, then are refused, and every promise is given back", () => {
    const t = new TcpTrace({ config: { limits: { ...limits, tcpFlows: 10_000, totalBuffer: 1 << 20 } } });
    let windows: (number | undefined)[] = [];
    let port = 1;
    for (; port < 100; port++) {
      t.guestPort = port;
      t.guest(SYN).ready("W");
      const [answer] = t.drain();
      if (answer!.flags === "R.") break;
      windows.push(answer!.window);
    }
    windows = [...new Set(windows)];
    expect(windows).toEqual([65_504, 16_352]);
    expect(t.layer.counters.refusedBuffer).toBe(1);
    expect(t.layer.promised).toBeLessThanOrEqual(1 << 20);
    t.host.onFrame = () => {};
    t.layer.close(t.now);
    expect(t.layer.promised).toBe(0);
    expect(t.layer.flows).toBe(0);
  });

  test("thousands of attempts at once, each with its own answer", () => {
    const t = new TcpTrace({ config: { limits: { ...limits, tcpFlows: 5000, totalBuffer: 1 << 30 } } });
    for (let port = 1; port <= 3000; port++) {
      t.guestPort = port;
      t.guest(SYN);
    }
    expect(t.layer.flows).toBe(3000);
    t.expect();
    t.guestPort = 3000;
    t.ready("W").expect("S. 0 ack 1");
  });
});
