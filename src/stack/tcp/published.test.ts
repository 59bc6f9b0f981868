/** Clients of published ports: we send the SYN, as the client. And ICMP errors from the guest's side. */
import { describe, expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";
import { READY } from "../outside.ts";

const CLIENT = { family: 4 as const, address: Uint8Array.of(192, 0, 2, 7), port: 5555 };
const SERVER = { family: 4 as const, address: Uint8Array.of(10, 0, 2, 100), port: 80 };
const ANSWER = "S. 0 ack 1 win 60000 <mss 1460,sack,ts 50 0,ws 7>";

function published(t = new TcpTrace()): TcpTrace {
  t.guestPort = 80;
  t.layer.accepted(t.now, t.host.accept(), { from: CLIENT, to: SERVER });
  return t;
}

/** Whom the guest refuses is another client to it at the second attempt. */
function calledTwice(): TcpTrace {
  const t = new TcpTrace();
  t.guestPort = 80;
  const [first, second] = [CLIENT, { ...CLIENT, port: 6666 }].map(from => ({ from, to: SERVER }));
  t.layer.accepted(t.now, t.host.accept(), first!, second);
  return t;
}

describe("a client of a published port", () => {
  test("reaches the guest under its own address and port, and they talk", () => {
    const t = published();
    expect(t.sent[0]!.line).toMatchObject({ flags: "S", sequence: 0, ack: undefined, window: 65_535 });
    expect(t.sent[0]!.line.options).toBe("mss 1460,sack,ts 0,ws 5");
    t.drain();
    expect(t.remotePort).toBe(5555);
    t.guest(ANSWER).expect(". 1 ack 1 <ts 50>");
    t.feed(100).expect("P. 1:101 ack 1");
    t.guest("P. 1:51 ack 101 win 500 <ts 51 0>").expect(". 101 ack 51");
    expect(t.socket.taken).toBe(50);
    t.end().expect("F. 101 ack 51");
    t.guest("F. 51 ack 102 win 500 <ts 52 0>").expect(". 102 ack 52");
    expect(t.socket.state).toBe("closed");
  });

  test("what it sent before the guest has answered goes with the handshake", () => {
    const t = published();
    t.drain();
    t.feed(100).expect();
    t.guest(ANSWER).expect("P. 1:101 ack 1");
  });

  test("refused by the guest: it sees a reset", () => {
    const t = published();
    t.drain();
    t.guest("R. 0 ack 1").expect();
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
  });

  test("refused by the guest at one address: it is led to the other, with what it has said", () => {
    const t = calledTwice();
    t.drain();
    t.feed(100).expect();
    t.guest("R. 0 ack 1");
    expect(t.drain().length).toBe(1);
    expect(t.remotePort).toBe(6666);
    t.guest(ANSWER).expect("P. 1:101 ack 1");
    t.guest("P. 1:51 ack 101 win 500 <ts 51 0>").expect(". 101 ack 51");
    expect(t.socket.taken).toBe(50);
  });

  test("refused at both: it sees a reset", () => {
    const t = calledTwice();
    t.drain();
    t.guest("R. 0 ack 1");
    t.drain();
    expect(t.socket.state).toBe("open");
    t.guest("R. 0 ack 1").expect();
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
  });

  test("a reset with a wrong acknowledgment, or none, is not the guest's", () => {
    const t = published();
    t.drain();
    t.guest("R. 0 ack 7", "R 0").expect();
    expect(t.socket.state).toBe("open");
  });

  test("a wrong acknowledgment is reset, the attempt goes on", () => {
    const t = published();
    t.drain();
    t.guest(". 5 ack 99").expect("R 99");
    t.guest("S. 0 ack 3 win 60000").expect("R 3");
    t.guest(ANSWER).expect(". 1 ack 1");
  });

  test("the guest does not answer: the SYN is repeated, and after 75 seconds the client is reset", () => {
    const t = published();
    const times: number[] = [];
    for (let second = 0; second <= 80; second++) {
      if (t.drain().length > 0) times.push(second);
      t.pass(1000);
    }
    expect(times).toEqual([0, 1, 3, 7, 15, 31, 63]);
    expect(t.socket.state).toBe("reset");
    expect(t.layer.promised).toBe(0);
    expect(t.timers.next()).toBe(Number.POSITIVE_INFINITY);
  });

  test("both sides send SYN at once (RFC 9293, figure 7)", () => {
    const t = published();
    t.drain();
    t.guest("S 0 win 60000 <mss 1460,sack,ts 50 0,ws 7>").expect("S. 0 ack 1");
    t.guest("S. 0 ack 1 win 60000 <mss 1460,sack,ts 51 0,ws 7>").expect(". 1 ack 1");
    t.feed(10).expect("P. 1:11 ack 1");
  });

  test("the guest has nothing but MSS: nothing else is used", () => {
    const t = published();
    t.drain();
    t.guest("S. 0 ack 1 win 60000 <mss 1000>").expect(". 1 ack 1 win 65535 <>");
    t.feed(1500).expect(". 1:1001 ack 1 <>", "P. 1001:1501 ack 1 <>");
  });

  test("a repeated SYN-ACK is acknowledged again", () => {
    const t = published();
    t.drain();
    t.guest(ANSWER).expect(". 1 ack 1");
    t.guest(ANSWER).expect(". 1 ack 1");
  });

  test("gives up before the guest has answered: the guest sees a reset", () => {
    const t = published();
    t.drain();
    t.socket.error = 104;
    t.layer.socketReady(t.now, 0, READY.ERROR | READY.PEER_CLOSED);
    t.expect("R. 1 ack 10");
    expect(t.layer.flows).toBe(0);
  });

  test("whose port is in use gets another one", () => {
    const t = published();
    t.drain();
    published(t);
    t.drain();
    expect(t.remotePort).not.toBe(5555);
    expect(t.layer.flows).toBe(2);
  });

  test("too many: it is reset", () => {
    const t = new TcpTrace({ config: { limits: { ...new TcpTrace().config.limits, tcpFlows: 1 } } });
    published(t);
    t.drain();
    published(t);
    t.expect();
    expect(t.host.sockets.map(one => one.state)).toEqual(["open", "reset"]);
  });
});

describe("ICMP errors of the guest's side", () => {
  /** The error quotes our segment with this number. */
  const error = (t: TcpTrace, sequence: number, mtu: number) => {
    const quote = new Uint8Array(20 + 8);
    const view = new DataView(quote.buffer);
    quote.set(CLIENT.address, 12);
    quote.set(SERVER.address, 16);
    view.setUint16(20, t.remotePort);
    view.setUint16(22, t.guestPort);
    view.setInt32(24, (t.ourIsn! + sequence) | 0);
    t.layer.guestError(t.now, 4, quote, 12, 16, 20, mtu);
    t.layer.flush(t.now);
  };

  test("unreachable ends an attempt, if it quotes our SYN", () => {
    const t = published();
    t.drain();
    error(t, 5, 0);
    expect(t.socket.state).toBe("open");
    error(t, 0, 0);
    t.expect();
    expect(t.socket.state).toBe("reset");
  });

  test("unreachable does not end a connection (RFC 5927)", () => {
    const t = new TcpTrace().establish();
    t.feed(100);
    t.drain();
    error(t, 1, 0);
    expect(t.socket.state).toBe("open");
  });

  test("too big: smaller segments, and what was too big once more", () => {
    const t = new TcpTrace().establish();
    t.feed(2920);
    t.drain();
    error(t, 1, 1000);
    t.expect(". 1:961 ack 1", ". 961:1921 ack 1", ". 1921:2881 ack 1", "P. 2881:2921 ack 1");
    t.guest(". 1 ack 2921").feed(1000).expect(". 2921:3881 ack 1", "P. 3881:3921 ack 1");
  });

  test("too big: about what is not on its way, or larger than before, is not believed", () => {
    const t = new TcpTrace().establish();
    t.feed(100);
    t.drain();
    error(t, 500, 600);
    error(t, 1, 9000);
    t.expect();
    error(t, 1, 68);
    t.expect("P. 1:101 ack 1");
    t.guest(". 1 ack 101").feed(600).expect(". 101:613 ack 1", "P. 613:701 ack 1");
  });
});
