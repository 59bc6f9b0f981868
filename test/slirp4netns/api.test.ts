/** The API socket: what engines ask, and what nobody should be able to do to it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";
import { GUEST, HOST, OUTSIDE, type Running, World } from "./world.ts";

const world = new World();
let running: Running;
beforeAll(async () => {
  running = await world.start("ours", ["-c", "-6"]);
  serveTcp(running.guest, GUEST, 80, "guest");
  serveTcp(running.guest, "fd00::100", 80, "guest");
});
afterAll(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

const add = (args: object) => running.api({ execute: "add_hostfwd", arguments: args });
const list = async () => (await running.api({ execute: "list_hostfwd" })).entries;
const remove = (id: unknown) => running.api({ execute: "remove_hostfwd", arguments: { id } });
const idOf = (answer: Record<string, unknown>) => (answer.return as { id: number }).id;

describe("ports", () => {
  test("are opened, listed in both of the documented places, and closed", async () => {
    const wanted = { proto: "tcp", host_addr: HOST, host_port: 8080, guest_addr: GUEST, guest_port: 80 };
    const id = idOf(await add(wanted));
    const entries = [{ id, ...wanted }];
    expect(await running.api({ execute: "list_hostfwd" })).toEqual({ return: { entries }, entries });
    expect(await askTcp(world.outside, HOST, 8080)).toBe(`guest ${OUTSIDE}`);
    expect(await remove(id)).toEqual({ return: {} });
    expect(await list()).toEqual([]);
    expect(await askTcp(world.outside, HOST, 8080)).toBe("refused");
  });

  test("numbers go up and are not used again", async () => {
    const first = idOf(await add({ proto: "tcp", host_port: 8081, guest_port: 80 }));
    await remove(first);
    const second = idOf(await add({ proto: "tcp", host_port: 8081, guest_port: 80 }));
    expect(second).toBe(first + 1);
    await remove(second);
  });

  test("where nothing is said, all of the host's addresses and the recommended guest are meant", async () => {
    const id = idOf(await add({ proto: "tcp", host_port: 8082, guest_port: 80 }));
    expect(await list()).toEqual([
      { id, proto: "tcp", host_addr: "0.0.0.0", host_port: 8082, guest_addr: GUEST, guest_port: 80 },
    ]);
    expect(await askTcp(world.outside, HOST, 8082)).toBe(`guest ${OUTSIDE}`);
    // A caller from the host's own loopback is the gateway to the guest.
    expect(await askTcp(world.host, "127.0.0.1", 8082)).toBe("guest 10.0.2.2");
    await remove(id);
  });

  test("UDP", async () => {
    await serveUdp(running.guest, GUEST, 5353, "guest");
    const id = idOf(await add({ proto: "udp", host_addr: HOST, host_port: 5300, guest_port: 5353 }));
    const client = await udpClient(world.outside, HOST, 5300);
    expect(await client.ask("hello")).toBe(`guest ${OUTSIDE} hello`);
    await remove(id);
  });

  test("IPv6", async () => {
    const wanted = {
      proto: "tcp",
      host_addr: "2001:db8::1",
      host_port: 8083,
      guest_addr: "fd00::100",
      guest_port: 80,
    };
    const id = idOf(await add(wanted));
    expect(await askTcp(world.outside, "2001:db8::1", 8083)).toBe("guest 2001:db8::2");
    await remove(id);
  });

  test("a range, longer than one message carries, is one entry", async () => {
    const ports = { host_port: "20000-20599", guest_port: "20000-20599" };
    serveTcp(running.guest, GUEST, 20599, "last");
    const id = idOf(await add({ proto: "tcp", host_addr: HOST, ...ports }));
    expect(await list()).toEqual([{ id, proto: "tcp", host_addr: HOST, guest_addr: GUEST, ...ports }]);
    expect(await askTcp(world.outside, HOST, 20599)).toBe(`last ${OUTSIDE}`);
    await remove(id);
    expect(await askTcp(world.outside, HOST, 20599)).toBe("refused");
  });

  test("a port in use is an error that names it, and a range that meets one opens nothing", async () => {
    const id = idOf(await add({ proto: "tcp", host_port: 20010, guest_port: 80 }));
    for (const host_port of [20010, "20000-20020"])
      expect(await add({ proto: "tcp", host_port, guest_port: 80 })).toEqual({
        error: {
          desc: "bad request: add_hostfwd: slirp_add_hostfwd failed: can't listen on tcp 0.0.0.0:20010: address already in use",
        },
      });
    expect(await askTcp(world.host, HOST, 20000)).toBe("refused");
    await remove(id);
  });

  test("a guest without IPv6's address can't be published to", async () => {
    const four = await world.start("ours");
    const args = { proto: "tcp", host_port: 8084, guest_addr: "fd00::100", guest_port: 80 };
    const answer = await four.api({ execute: "add_hostfwd", arguments: args });
    expect(JSON.stringify(answer)).toContain("the network has no IPv6");
    expect(await askTcp(world.host, HOST, 8084)).toBe("refused");
  });
});

describe("misuse", () => {
  test.each([
    ["half a thing", "{", "cannot parse JSON"],
    ["bytes", "\0\xff", "cannot parse JSON"],
    ["an array", "[1]", "json_object() failed"],
    ["an empty object", "{}", "no execute found"],
    ["an order that there is not", '{"execute":"quit"}', "unknown execute"],
    ["no arguments", '{"execute":"add_hostfwd"}', "add_hostfwd: bad arguments.proto"],
    [
      "an id that is none",
      '{"execute":"remove_hostfwd","arguments":{"id":{}}}',
      "remove_hostfwd: bad arguments.id",
    ],
    ["5,000 bytes", `{"execute":"${"x".repeat(5000)}"}`, "too large message"],
    ["100,000 brackets", "[".repeat(100_000), "too large message"],
  ])("%s", async (_, text, desc) => {
    expect(await running.api(text)).toEqual({ error: { desc: `bad request: ${desc}` } });
  });

  test("a number that is nobody's", async () => {
    expect(JSON.stringify(await remove(4711))).toContain("remove_hostfwd: slirp_remove_hostfwd failed");
  });

  test("a request by drops is answered", async () => {
    let answer = "";
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      unix: running.apiSocket,
      socket: {
        data(_, chunk) {
          answer += chunk.toString();
        },
        close: () => resolve(),
      },
    });
    for (const letter of '{"execute":"list_hostfwd"}') {
      socket.write(letter);
      await new Promise(next => setImmediate(next));
    }
    await promise;
    expect(JSON.parse(answer).entries).toEqual([]);
  });

  test("hundreds who say nothing, half a thing, or hang up at once keep nobody else out", async () => {
    const open = () => Bun.connect({ unix: running.apiSocket, socket: { data() {} } });
    const outcomes = await Promise.allSettled(Array.from({ length: 300 }, open));
    const idle = outcomes.flatMap(outcome => (outcome.status === "fulfilled" ? [outcome.value] : []));
    for (const [index, socket] of idle.entries()) {
      if (index % 3 === 0) socket.write('{"execute":');
      if (index % 3 === 1) socket.terminate();
    }
    expect(await list()).toEqual([]);
    for (const socket of idle) socket.terminate();
  });

  test("after all that the network runs as it did", async () => {
    const id = idOf(await add({ proto: "tcp", host_addr: HOST, host_port: 8090, guest_port: 80 }));
    expect(await askTcp(world.outside, HOST, 8090)).toBe(`guest ${OUTSIDE}`);
    await remove(id);
    expect(existsSync(`/proc/${running.pid}`)).toBe(true);
    expect(running.children()).toHaveLength(1);
  });
});
