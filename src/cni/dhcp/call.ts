/** The plugin's side: one request to the daemon, ours or Go's. */
import { connect } from "node:net";
import { errorText, hasCode } from "../../base/errors.ts";
import { CNI_ERROR, CniError } from "../types.ts";
import { GobDecoder } from "./gob-decoder.ts";
import { GobEncoder } from "./gob-encoder.ts";
import {
  ARGUMENTS,
  ASK_TO_CONNECT,
  type CommandArguments,
  type Head,
  type Method,
  MOST_GREETING,
  REQUEST,
} from "./rpc.ts";

/** What the daemon gives; NoDaemon where none listens, CniError for what it refuses. */
export async function callDaemon(path: string, method: Method, asked: CommandArguments): Promise<object> {
  const values = await exchange(path, encoded(method, asked));
  const [head, result] = values as [Head, object];
  if (head.Error) throw new CniError(CNI_ERROR.INTERNAL, `error calling ${method}: ${head.Error}`);
  return result;
}

/** Nobody listens at the socket. */
export class NoDaemon extends CniError {
  constructor(path: string, why: string) {
    super(
      CNI_ERROR.INTERNAL,
      `error dialing DHCP daemon: dial unix ${path}: connect: ${why}`,
      "start it with `portolan __cni dhcp daemon`",
    );
  }
}

function encoded(method: Method, asked: CommandArguments): Uint8Array {
  const encoder = new GobEncoder();
  return Uint8Array.from([
    ...encoder.encode(REQUEST, { ServiceMethod: method, Seq: 0 }),
    ...encoder.encode(ARGUMENTS, asked),
  ]);
}

/** Sends a request; gives the two values that answer it. */
function exchange(path: string, request: Uint8Array): Promise<unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
  const decoder = new GobDecoder();
  const values: unknown[] = [];
  let greeting: string | undefined = "";
  const socket = connect(path);
  const broken = (why: string) =>
    reject(new CniError(CNI_ERROR.INTERNAL, `error calling the DHCP daemon: ${why}`));
  socket.on("connect", () => socket.write(ASK_TO_CONNECT));
  socket.on("error", error => {
    if (hasCode(error, "ENOENT")) reject(new NoDaemon(path, "no such file or directory"));
    else if (hasCode(error, "ECONNREFUSED")) reject(new NoDaemon(path, "connection refused"));
    else broken(errorText(error));
  });
  socket.on("close", () => broken("it ended the connection before it had answered"));
  socket.on("data", (data: Buffer) => {
    try {
      let rest: Uint8Array = data;
      if (greeting !== undefined) {
        greeting += data.toString("latin1");
        const end = /\r?\n\r?\n/.exec(greeting);
        if (!end && greeting.length < MOST_GREETING) return;
        if (!end || !/^HTTP\/1\.[01] 200 /.test(greeting)) throw new Error("it does not speak net/rpc");
        rest = Buffer.from(greeting.slice(end.index + end[0].length), "latin1");
        greeting = undefined;
        socket.write(request);
      }
      decoder.push(rest);
      for (let value = decoder.next(); value !== undefined; value = decoder.next()) values.push(value);
      if (values.length >= 2) resolve(values);
    } catch (error) {
      broken(errorText(error));
    }
    // Whoever has his answer, or will get none, is done.
    if (values.length >= 2) socket.destroy();
  });
  return promise.finally(() => socket.destroy());
}
