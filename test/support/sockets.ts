/** Real sockets inside namespaces: servers that tell who called, and clients that ask. */
import type { TestNetns } from "./netns.ts";

const running: { stop(): void }[] = [];

/** Stops every server and client that this file has started. */
export function stopSockets(): void {
  for (const one of running.splice(0)) one.stop();
}

/** A TCP server in `place` that answers `TAG CLIENT-ADDRESS` and closes. */
export function serveTcp(place: TestNetns, hostname: string, port: number, tag: string): void {
  const server = place.run(() =>
    Bun.listen({
      hostname,
      port,
      socket: {
        open(socket) {
          socket.end(`${tag} ${socket.remoteAddress.replace(/^::ffff:/, "")}`);
        },
        data() {},
      },
    }),
  );
  running.push({ stop: () => server.stop(true) });
}

/** What a TCP server at `hostname` (a literal address) answers to a client in `place`; `"refused"` if nobody listens. */
export function askTcp(place: TestNetns, hostname: string, port: number): Promise<string> {
  return new Promise(resolve => {
    let answer = "";
    place.run(() => {
      Bun.connect({
        hostname,
        port,
        socket: {
          data(_, chunk) {
            answer += chunk.toString();
          },
          close() {
            resolve(answer);
          },
          connectError() {
            resolve("refused");
          },
        },
      }).catch(() => resolve("refused"));
    });
  });
}

/** A UDP server in `place` that answers each datagram with `TAG CLIENT-ADDRESS TEXT` and keeps what came. */
export async function serveUdp(place: TestNetns, hostname: string, port: number, tag: string) {
  const received: string[] = [];
  const waiting: (() => void)[] = [];
  const { server } = place.run(() => ({
    server: Bun.udpSocket({
      hostname,
      port,
      socket: {
        data(socket, data, remotePort, address) {
          received.push(data.toString());
          socket.send(`${tag} ${address} ${data}`, remotePort, address);
          for (const wake of waiting.splice(0)) wake();
        },
      },
    }),
  }));
  const socket = await server;
  running.push({ stop: () => socket.close() });
  return {
    received,
    /** Resolves when `text` has come. */
    async until(text: string): Promise<void> {
      while (!received.includes(text)) await new Promise<void>(wake => waiting.push(wake));
    },
  };
}

/** A UDP client in `place`, of one source port for all of its life. */
export async function udpClient(place: TestNetns, hostname: string, port: number) {
  let answered: (text: string) => void = () => {};
  const { client } = place.run(() => ({
    client: Bun.udpSocket({
      connect: { hostname, port },
      socket: {
        data(_, data) {
          answered(data.toString());
        },
        error() {
          answered("refused");
        },
      },
    }),
  }));
  const socket = await client;
  running.push({ stop: () => socket.close() });
  return {
    send(text: string): void {
      socket.send(text);
    },
    ask(text: string): Promise<string> {
      return new Promise(resolve => {
        answered = resolve;
        socket.send(text);
      });
    },
  };
}
