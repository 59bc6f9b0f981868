/**
 * Bytes with checksums through real sockets. A TCP exchange is: all of the client's bytes, the end of them, then the
 * server's answer `CLIENT-ADDRESS SHA256`; a UDP exchange the same with one datagram each way.
 */
import { createHash } from "node:crypto";
/** Where sockets are made: a namespace. */
export interface Place {
  run<T>(fn: () => T): T;
}

export const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");
const plain = (address: string) => address.replace(/^::ffff:/, "");

/** Answers TCP and UDP exchanges at `hostname:port` in `place` until disposed. */
export async function serveExchanges(place: Place, hostname: string, port: number): Promise<Disposable> {
  type Call = { hash: ReturnType<typeof createHash> };
  const { server, opening } = place.run(() => ({
    server: Bun.listen<Call>({
      hostname,
      port,
      allowHalfOpen: true,
      socket: {
        open(socket) {
          socket.data = { hash: createHash("sha256") };
        },
        data(socket, data) {
          socket.data.hash.update(data);
        },
        end(socket) {
          socket.end(`${plain(socket.remoteAddress)} ${socket.data.hash.digest("hex")}\n`);
        },
      },
    }),
    opening: Bun.udpSocket({
      hostname,
      port,
      socket: {
        data(socket, data, clientPort, address) {
          socket.send(`${plain(address)} ${sha256(data)}\n`, clientPort, address);
        },
      },
    }),
  }));
  const udp = await opening;
  return {
    [Symbol.dispose]() {
      server.stop(true);
      udp.close();
    },
  };
}

/** What a server at `hostname:port` answers to `data` by TCP from `place`; `refused` if nobody listens. */
export function exchangeTcp(place: Place, hostname: string, port: number, data: Uint8Array): Promise<string> {
  return new Promise(resolve => {
    let answer = "";
    let sent = 0;
    const send = (socket: Bun.Socket) => {
      sent += Math.max(0, socket.write(data.subarray(sent)));
      if (sent === data.length) socket.shutdown();
    };
    place.run(() => {
      Bun.connect({
        hostname,
        port,
        allowHalfOpen: true,
        socket: {
          open: send,
          drain(socket) {
            if (sent < data.length) send(socket);
          },
          data(_, chunk) {
            answer += chunk.toString();
          },
          end(socket) {
            socket.end();
          },
          close() {
            resolve(answer.trim());
          },
          connectError() {
            resolve("refused");
          },
        },
      }).catch(() => resolve("refused"));
    });
  });
}

/** What a server at `hostname:port` answers to one datagram from `place`; `refused` if nobody listens. */
export async function exchangeUdp(
  place: Place,
  hostname: string,
  port: number,
  data: Uint8Array,
): Promise<string> {
  let answered: (text: string) => void = () => {};
  const answer = new Promise<string>(resolve => {
    answered = resolve;
  });
  const { opening } = place.run(() => ({
    opening: Bun.udpSocket({
      hostname: hostname.includes(":") ? "::" : "0.0.0.0",
      connect: { hostname, port },
      socket: {
        data(_, data) {
          answered(data.toString().trim());
        },
        error() {
          answered("refused");
        },
      },
    }),
  }));
  const socket = await opening;
  socket.send(data);
  const text = await Promise.race([answer, Bun.sleep(5000).then(() => "no answer")]);
  socket.close();
  return text;
}
