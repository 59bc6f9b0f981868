/** Resets: who sees one, and when. */
import { describe, expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";
import { ERRNO } from "../errno.ts";

const gone = (t: TcpTrace) => {
  expect(t.layer.flows).toBe(0);
  expect(t.layer.promised).toBe(0);
  expect(t.timers.next()).toBe(Number.POSITIVE_INFINITY);
};

describe("resets", () => {
  test("the guest's ends the host's connection with a reset", () => {
    const t = new TcpTrace().establish();
    t.guest("R. 1 ack 1").expect();
    expect(t.socket.state).toBe("reset");
    gone(t);
  });

  test("the host's peer's ends the guest's connection with RST", () => {
    const t = new TcpTrace().establish();
    t.socket.error = ERRNO.ECONNRESET;
    t.ready("RE").expect("R. 1 ack 1");
    expect(t.socket.state).toBe("closed");
    gone(t);
  });

  test("what came before the host's reset still reaches the guest", () => {
    const t = new TcpTrace().establish();
    t.socket.available = 100;
    t.socket.error = ERRNO.ECONNRESET;
    t.ready("RCE").expect("P. 1:101 ack 1", "R. 101 ack 1");
    gone(t);
  });

  test("the host's socket fails while the guest's data is sent", () => {
    const t = new TcpTrace().establish();
    t.socket.error = ERRNO.ECONNRESET;
    t.guest("P. 1:11 ack 1").expect("R. 1 ack 11");
    gone(t);
  });

  test("what the peer had sent before it refused the guest's data still reaches the guest", () => {
    const t = new TcpTrace().establish();
    t.socket.available = 100;
    t.socket.error = ERRNO.ECONNRESET;
    t.guest("P. 1:11 ack 1").expect("P. 1:101 ack 11", "R. 101 ack 11");
    gone(t);
  });

  test("so it does when kept data is refused, and the guest has to make room first", () => {
    const t = new TcpTrace().establish("mss 1000", 1000);
    t.socket.room = 0;
    t.guest("P. 1:11 ack 1 win 1000").expect(". 1 ack 11");
    t.socket.available = 1500;
    t.socket.error = ERRNO.ECONNRESET;
    t.ready("W").expect(". 1:1001 ack 11");
    t.guest(". 11 ack 1001 win 1000").expect("P. 1001:1501 ack 11", "R. 1501 ack 11");
    gone(t);
  });

  test("the host's socket fails while kept data is sent", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    t.guest("P. 1:11 ack 1").expect(". 1 ack 11");
    t.socket.error = ERRNO.ETIMEDOUT;
    t.ready("WE").expect("R. 1 ack 11");
    gone(t);
  });

  test("the host's reset after both ends: nothing to tell", () => {
    const t = new TcpTrace().establish();
    t.socket.room = 0;
    t.guest("FP. 1:11 ack 1").end().guest(". 12 ack 2");
    t.drain();
    t.socket.error = ERRNO.ECONNRESET;
    t.ready("E").expect();
    expect(t.socket.state).toBe("closed");
    gone(t);
  });

  test("segments of no connection are reset by their own numbers", () => {
    const t = new TcpTrace();
    t.guest(". 5 ack 77").expect("R 77");
    t.guest("P. 5:10 ack 99").expect("R 99");
    t.guest("P 5:10").expect("R. 0 ack 10");
    t.guest("F 5").expect("R. 0 ack 6");
    t.guest("R 5").expect();
    t.guest("R. 5 ack 1").expect();
  });

  test("everything is reset when the stack closes", () => {
    const t = new TcpTrace().establish();
    t.layer.close(t.now);
    t.expect("R. 1 ack 1");
    expect(t.socket.state).toBe("reset");
    gone(t);
  });
});
