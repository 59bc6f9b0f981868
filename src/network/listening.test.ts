import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseListening } from "./listening.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

test("sockets that listen are found, connections are not", () => {
  const text = `${HEAD}
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0200580A:0050 0300580A:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 20 4 30 10 -1
`;
  expect(parseListening(text, "tcp")).toEqual([
    { protocol: "tcp", ip: "127.0.0.1", port: 8080, inode: 4711 },
  ]);
  const six = `${HEAD}
   0: 000000FD000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 99 2 0000 0
   1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 98 2 0000 0
`;
  expect(parseListening(six, "udp")).toEqual([
    { protocol: "udp", ip: "fd00::1", port: 53, inode: 99 },
    { protocol: "udp", ip: "::", port: 53, inode: 98 },
  ]);
});

test("lines of another form are passed over", () => {
  fc.assert(
    fc.property(fc.string(), text => {
      expect(() => parseListening(`${HEAD}\n${text}\n`, "tcp")).not.toThrow();
    }),
  );
});
