import { expect, test } from "bun:test";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";

test("a connection from the guest, from SYN to the last FIN, asks for nothing twice and leaves nothing", () => {
  const t = new TcpTrace();
  t.guest("S 0 win 64240 <mss 1460,sack,ts 100 0,ws 7>").expect();
  t.guest("S 0 win 64240 <mss 1460,sack,ts 100 0,ws 7>").expect();
  t.ready("W").expect("S. 0 ack 1 <mss 1460,sack,ts 100,ws 5>");
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
});
