/**
 * Requests of slirp4netns' API, as text and as values. One JSON object to a connection:
 * `{"execute": "add_hostfwd", "arguments": {…}}`. Pure.
 */
import { parseIP } from "../wire/addr.ts";

/** A request of more bytes than this is refused unread. */
export const MAX_REQUEST = 4095;

/** Ports that the host opens for the guest. `count` of them in a row lead to as many of the guest's. */
export interface HostForward {
  proto: "tcp" | "udp";
  hostAddr: string;
  hostPort: number;
  /** "": the recommended address. */
  guestAddr: string;
  guestPort: number;
  count: number;
}

export type ApiRequest =
  | { execute: "add_hostfwd"; forward: HostForward }
  | { execute: "list_hostfwd" }
  | { execute: "remove_hostfwd"; id: number };

/** What is wrong with a request; becomes `{"error": {"desc": …}}`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** True when `text` could be the beginning of a request that is not whole yet. */
export function isIncomplete(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** Reads a request; throws only `ApiError`. */
export function parseApiRequest(text: string): ApiRequest {
  const request = parseJson(text);
  if (!isObject(request)) throw new ApiError("bad request: json_object() failed");
  const { execute, arguments: given } = request;
  if (typeof execute !== "string") throw new ApiError("bad request: no execute found");
  const args = isObject(given) ? given : {};
  switch (execute) {
    case "add_hostfwd":
      return { execute, forward: forward(args) };
    case "list_hostfwd":
      return { execute };
    case "remove_hostfwd":
      return { execute, id: identifier(args.id) };
    default:
      throw new ApiError("bad request: unknown execute");
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("bad request: cannot parse JSON");
  }
}

function bad(argument: string): never {
  throw new ApiError(`bad request: add_hostfwd: bad arguments.${argument}`);
}

function forward(args: Json): HostForward {
  const { proto } = args;
  if (proto !== "tcp" && proto !== "udp") return bad("proto");
  const host = ports("host_port", args.host_port);
  const guest = ports("guest_port", args.guest_port);
  if (guest.count !== 1 && guest.count !== host.count) return bad("guest_port");
  if (guest.first + host.count - 1 > 65535) return bad("guest_port");
  return {
    proto,
    hostAddr: address("host_addr", args.host_addr) || "0.0.0.0",
    hostPort: host.first,
    guestAddr: address("guest_addr", args.guest_addr),
    guestPort: guest.first,
    count: host.count,
  };
}

/** A port as a number or, beyond what slirp4netns takes, ports in a row as `"8000-8010"`. */
function ports(argument: string, value: unknown): { first: number; count: number } {
  const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65535;
  if (typeof value === "number" && isPort(value)) return { first: value, count: 1 };
  const range = typeof value === "string" ? /^(\d{1,5})-(\d{1,5})$/.exec(value) : null;
  const [first, last] = [Number(range?.[1]), Number(range?.[2])];
  if (!range || !isPort(first) || !isPort(last) || last < first) return bad(argument);
  return { first, count: last - first + 1 };
}

/** "" where nothing is said. */
function address(argument: string, value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  return typeof value === "string" && parseIP(value) ? value : bad(argument);
}

function identifier(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw new ApiError("bad request: remove_hostfwd: bad arguments.id");
}
