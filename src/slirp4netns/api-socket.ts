/**
 * The Unix socket at which engines ask for ports. Who can open it can open ports, so it is its owner's alone. Whatever
 * comes in, slowly, by halves, too much or in great number, is answered with an error or dropped, and no more.
 */
import { rmSync } from "node:fs";
import { errorText, hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import { closeFd } from "../sys/fd.ts";
import { AF, bind, listen, SOCK, socket, unixAddress } from "../sys/socket.ts";
import { ApiError, type ApiRequest, isIncomplete, MAX_REQUEST, parseApiRequest } from "./api-request.ts";

const BACKLOG = 128;
/** Connections at a time; a newcomer beyond takes the place of the one that has been there longest. */
const MAX_CONNECTIONS = 64;
/** A connection that has not been done with in so many seconds is dropped. */
const PATIENCE = 10;
const OWNER_ONLY = 0o177;

/** A listening socket at `path`, in place of whatever lies there; mode 0600. Gives its descriptor. */
export function bindApiSocket(path: string): number {
  const address = addressOf(path);
  rmSync(path, { force: true });
  const fd = socket(AF.UNIX, SOCK.STREAM);
  const mask = process.umask(OWNER_ONLY);
  try {
    bind(fd, address, path);
    listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  } finally {
    process.umask(mask);
  }
}

function addressOf(path: string): Uint8Array {
  try {
    return unixAddress(path);
  } catch (error) {
    if (!hasCode(error, "ENAMETOOLONG")) throw error;
    throw new UserError("the specified API socket path is too long (>= 108)", { exitCode: 1, cause: error });
  }
}

interface Connection {
  text: string;
  bytes: number;
  decoder: TextDecoder;
  /** The request is whole or hopeless; what follows is not read. */
  taken: boolean;
  /** What the kernel has not taken yet of the answer; absent until there is one. */
  rest?: Uint8Array;
}

/** Serves a listening socket; `handle` gives the value that is the answer. */
export function serveApi(fd: number, handle: (request: ApiRequest) => Promise<object>): Disposable {
  const open = new Set<Bun.Socket<Connection>>();
  const finish = (client: Bun.Socket<Connection>) => {
    const { rest } = client.data;
    // The event loop also says "drain" when the client has closed its side before there was an answer.
    if (!rest) return;
    client.data.rest = rest.subarray(Math.max(client.write(rest), 0));
    if (client.data.rest.length === 0) client.end();
  };
  const answer = (client: Bun.Socket<Connection>, value: object) => {
    client.data.rest = new TextEncoder().encode(JSON.stringify(value));
    finish(client);
  };
  const take = (client: Bun.Socket<Connection>) => {
    client.data.taken = true;
    answerTo(client.data.text, handle).then(value => answer(client, value));
  };
  const socket: Bun.SocketHandler<Connection> = {
    open(client) {
      open.add(client);
      client.data = {
        text: "",
        bytes: 0,
        decoder: new TextDecoder(),
        taken: false,
      };
      client.timeout(PATIENCE);
      const [oldest] = open;
      if (open.size > MAX_CONNECTIONS) oldest?.terminate();
    },
    data(client, chunk) {
      const { data } = client;
      if (data.taken) return;
      data.bytes += chunk.length;
      if (data.bytes > MAX_REQUEST) {
        data.taken = true;
        answer(client, failure("bad request: too large message"));
        return;
      }
      data.text += data.decoder.decode(chunk, { stream: true });
      // Not every client closes its side, so a request that is whole is answered at once.
      if (!isIncomplete(data.text)) take(client);
    },
    end(client) {
      if (!client.data.taken) take(client);
    },
    drain: finish,
    timeout: client => client.terminate(),
    close(client) {
      open.delete(client);
    },
    error(_, error) {
      log.debug(`API connection: ${errorText(error)}`);
    },
  };
  // The types know no descriptor here; test/platform/ knows that it works.
  const options = { fd, allowHalfOpen: true, socket };
  const server = Bun.listen(options as unknown as Bun.UnixSocketOptions<Connection>);
  return { [Symbol.dispose]: () => server.stop(true) };
}

const failure = (desc: string) => ({ error: { desc } });

async function answerTo(text: string, handle: (request: ApiRequest) => Promise<object>): Promise<object> {
  try {
    return await handle(parseApiRequest(text));
  } catch (error) {
    if (!(error instanceof ApiError)) log.warn(`API request failed: ${errorText(error)}`);
    return failure(errorText(error));
  }
}

/** The error of an operation on ports, in slirp4netns' words with the reason behind them. */
export function portFailure(operation: "add_hostfwd" | "remove_hostfwd", error: unknown): ApiError {
  return new ApiError(`bad request: ${operation}: slirp_${operation} failed: ${errorText(error)}`);
}

/** The error for an id that leads to nothing. */
export function unknownId(id: number): ApiError {
  return portFailure("remove_hostfwd", sysError("find", ERRNO.ENOENT, `id ${id}`));
}
