/** Programs for namespaces: a server that tells each caller who he is to it, and its client. `words`: how to get inside. */

const SERVE = `
import selectors, socket, sys
waiting = selectors.DefaultSelector()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", int(sys.argv[1])))
    if kind == socket.SOCK_STREAM: s.listen()
    waiting.register(s, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            with key.fileobj.accept()[0] as c:
                c.recv(100)
                c.sendall(c.getpeername()[0].encode())
        else:
            data, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(peer[0].encode(), peer)
`;

const GREET = `
import socket, sys
kind, address, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(10)
s.connect((address, int(port)))
s.sendall(b"hello")
print(s.recv(100).decode())
`;

/** Serves TCP and UDP at `port` until it is disposed of. */
export async function server(words: readonly string[], port: number): Promise<AsyncDisposable> {
  const child = Bun.spawn([...words, "python3", "-c", SERVE, `${port}`], { stdout: "pipe" });
  const { done } = await child.stdout.getReader().read();
  if (done) throw new Error("the server does not start");
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}

/** Speaks to such a server; the address that it sees the caller at. Throws where there is no answer. */
export async function greet(
  words: readonly string[],
  protocol: "tcp" | "udp",
  address: string,
  port: number,
): Promise<string> {
  const child = Bun.spawn([...words, "python3", "-c", GREET, protocol, address, `${port}`], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0)
    throw new Error(`no answer from ${protocol} ${address} ${port}: ${stderr.trim().split("\n").at(-1)}`);
  return stdout.trim().replace(/^::ffff:/, "");
}
