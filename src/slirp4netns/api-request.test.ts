import { expect, test } from "bun:test";
import fc from "fast-check";
import { ApiError, isIncomplete, parseApiRequest } from "./api-request.ts";

function refusal(text: string): string {
  try {
    parseApiRequest(text);
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

const add = (args: object) => JSON.stringify({ execute: "add_hostfwd", arguments: args });

test("what Podman and RootlessKit send", () => {
  const podman =
    '{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"","host_port":8080,"guest_addr":"10.0.2.100","guest_port":80}}\n';
  expect(parseApiRequest(podman)).toEqual({
    execute: "add_hostfwd",
    forward: {
      proto: "tcp",
      hostAddr: "0.0.0.0",
      hostPort: 8080,
      guestAddr: "10.0.2.100",
      guestPort: 80,
      count: 1,
    },
  });
  expect(parseApiRequest('{"execute":"remove_hostfwd","arguments":{"id":3}}')).toEqual({
    execute: "remove_hostfwd",
    id: 3,
  });
  expect(parseApiRequest('{"execute":"list_hostfwd"}')).toEqual({ execute: "list_hostfwd" });
});

test("IPv6 addresses and ranges", () => {
  const text = add({ proto: "udp", host_addr: "::1", host_port: "8000-8002", guest_port: "9000-9002" });
  expect(parseApiRequest(text)).toMatchObject({
    forward: { hostAddr: "::1", hostPort: 8000, guestAddr: "", guestPort: 9000, count: 3 },
  });
});

test.each([
  ["{", "bad request: cannot parse JSON"],
  ["", "bad request: cannot parse JSON"],
  ["[]", "bad request: json_object() failed"],
  ["null", "bad request: json_object() failed"],
  ["{}", "bad request: no execute found"],
  ['{"execute":1}', "bad request: no execute found"],
  ['{"execute":"toString"}', "bad request: unknown execute"],
  ['{"execute":"add_hostfwd"}', "bad request: add_hostfwd: bad arguments.proto"],
  ['{"execute":"add_hostfwd","arguments":[]}', "bad request: add_hostfwd: bad arguments.proto"],
  [add({ proto: "sctp" }), "bad request: add_hostfwd: bad arguments.proto"],
  [add({ proto: "tcp" }), "bad request: add_hostfwd: bad arguments.host_port"],
  [add({ proto: "tcp", host_port: 0 }), "bad request: add_hostfwd: bad arguments.host_port"],
  [add({ proto: "tcp", host_port: 80.5 }), "bad request: add_hostfwd: bad arguments.host_port"],
  [add({ proto: "tcp", host_port: "9-8" }), "bad request: add_hostfwd: bad arguments.host_port"],
  [add({ proto: "tcp", host_port: 80 }), "bad request: add_hostfwd: bad arguments.guest_port"],
  [
    add({ proto: "tcp", host_port: 80, guest_port: 65536 }),
    "bad request: add_hostfwd: bad arguments.guest_port",
  ],
  [
    add({ proto: "tcp", host_port: "1-9", guest_port: 65530 }),
    "bad request: add_hostfwd: bad arguments.guest_port",
  ],
  [
    add({ proto: "tcp", host_port: 1, guest_port: 1, host_addr: "x" }),
    "bad request: add_hostfwd: bad arguments.host_addr",
  ],
  [
    add({ proto: "tcp", host_port: 1, guest_port: 1, guest_addr: 7 }),
    "bad request: add_hostfwd: bad arguments.guest_addr",
  ],
  ['{"execute":"remove_hostfwd"}', "bad request: remove_hostfwd: bad arguments.id"],
  ['{"execute":"remove_hostfwd","arguments":{"id":"1"}}', "bad request: remove_hostfwd: bad arguments.id"],
])("%s is refused", (text, message) => {
  expect(refusal(text)).toBe(message);
});

test("anything is understood or refused, and never anything else", () => {
  const args = fc.record(
    {
      proto: fc.oneof(fc.constantFrom("tcp", "udp"), fc.anything()),
      host_addr: fc.oneof(fc.ipV4(), fc.ipV6(), fc.anything()),
      host_port: fc.oneof(fc.nat(70000), fc.string(), fc.anything()),
      guest_addr: fc.oneof(fc.ipV4(), fc.anything()),
      guest_port: fc.oneof(fc.nat(70000), fc.anything()),
      id: fc.anything(),
    },
    { requiredKeys: [] },
  );
  const request = fc.record({
    execute: fc.oneof(fc.constantFrom("add_hostfwd", "list_hostfwd", "remove_hostfwd"), fc.anything()),
    arguments: fc.oneof(args, fc.anything()),
  });
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    request.map(value => JSON.stringify(value, (_, one) => (typeof one === "bigint" ? Number(one) : one))),
  );
  fc.assert(
    fc.property(text, given => {
      try {
        const parsed = parseApiRequest(given ?? "");
        if (parsed.execute !== "add_hostfwd") return;
        const { hostPort, guestPort, count } = parsed.forward;
        expect(hostPort >= 1 && hostPort + count - 1 <= 65535).toBe(true);
        expect(guestPort >= 1 && guestPort + count - 1 <= 65535).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(ApiError);
      }
    }),
    { numRuns: 3000 },
  );
});

test("a request is waited for as long as it is not whole", () => {
  const whole = add({ proto: "tcp", host_port: 1, guest_port: 2 });
  for (let length = 0; length < whole.length; length++)
    expect(isIncomplete(whole.slice(0, length))).toBe(true);
  expect(isIncomplete(whole)).toBe(false);
  expect(isIncomplete(`${whole}\n`)).toBe(false);
});
