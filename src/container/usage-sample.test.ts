import { expect, test } from "bun:test";
import { networkBytes } from "./usage-sample.ts";

test("bytes of all devices but the loopback", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1000      10    0    0    0     0          0         0      200       2    0    0    0     0       0          0
  tap0:5          1    0    0    0     0          0         0        7       1    0    0    0     0       0          0
`;
  expect(networkBytes(text)).toEqual({ received: 1005, sent: 207 });
  expect(networkBytes("")).toEqual({ received: 0, sent: 0 });
});
