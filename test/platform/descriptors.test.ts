/** Descriptors that others have made, in Bun's event loop: what the supervisor of the data plane relies on. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, pipe, setCloseOnExec } from "../../src/sys/fd.ts";
import { AF, bind, listen, SOCK, send, socket, unixAddress } from "../../src/sys/socket.ts";
import { socketPair } from "../../src/sys/socket-pair.ts";

test("Bun.listen takes a listening Unix socket, and answers a client that has closed its side", async () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-platform-"));
  const path = join(directory, "socket");
  const fd = socket(AF.UNIX, SOCK.STREAM);
  bind(fd, unixAddress(path));
  listen(fd, 16);
  const options = {
    fd,
    allowHalfOpen: true,
    socket: {
      async data(client: Bun.Socket, chunk: Uint8Array) {
        await new Promise(next => setTimeout(next, 0));
        client.end(`you said ${Buffer.from(chunk)}`);
      },
      // Without one, Bun closes what the client has half closed.
      end() {},
    },
  };
  const server = Bun.listen(options as unknown as Bun.UnixSocketOptions<undefined>);
  const heard = await new Promise<string>((resolve, reject) => {
    let text = "";
    const handler = {
      open(client: Bun.Socket) {
        client.write("hello");
        client.shutdown();
      },
      data(_: Bun.Socket, chunk: Uint8Array) {
        text += Buffer.from(chunk).toString();
      },
      end: (client: Bun.Socket) => void client.end(),
      close: () => resolve(text),
    };
    const connection = { unix: path, allowHalfOpen: true, socket: handler };
    Bun.connect(connection as unknown as Bun.UnixSocketOptions<undefined>).catch(reject);
  });
  expect(heard).toBe("you said hello");
  server.stop(true);
  rmSync(directory, { recursive: true });
});

test("Bun.connect takes one end of a SOCK_SEQPACKET pair, gives each packet by itself, and sees the end", async () => {
  const [ours, theirs] = socketPair();
  const packets: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const options = {
    fd: ours,
    socket: {
      data: (_: Bun.Socket, packet: Uint8Array) => void packets.push(Buffer.from(packet).toString()),
      close: () => resolve(),
    },
  };
  await Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
  for (const text of ["one", "two", "three"]) send(theirs, new TextEncoder().encode(text));
  closeFd(theirs);
  await promise;
  expect(packets).toEqual(["one", "two", "three"]);
});

test("a stream over a pipe's end resolves when the other end is closed, by whomever", async () => {
  const [readEnd, writeEnd] = pipe();
  setCloseOnExec(writeEnd, false);
  const holder = Bun.spawn(["cat"], { stdio: ["pipe", "ignore", "inherit", writeEnd] });
  closeFd(writeEnd);
  const reading = Bun.file(readEnd).stream().getReader().read();
  holder.kill();
  expect((await reading).done).toBe(true);
  await holder.exited;
  closeFd(readEnd);
});
