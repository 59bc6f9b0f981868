/**
 * Small programs at both ends of a network: `callers.ts serve ADDRESS PORT` answers each byte with a byte;
 * `callers.ts once ADDRESS PORT` answers one and closes, so that ports in TIME-WAIT gather on its side, where they are in
 * nobody's way; `callers.ts calls ADDRESS PORT SECONDS` connects, asks once and waits for the end, again and again, and
 * prints how often a second;
 * `callers.ts asks ADDRESS PORT SECONDS` asks on one connection and prints the median time to the answer in microseconds.
 */
import { closeFd, setNonBlocking } from "../../src/sys/fd.ts";
import { acceptSocket, LEVEL, SocketAddress, setInt, TCP_OPTION } from "../../src/sys/inet.ts";
import { AF, bind, connect, inetAddress, listen, recv, SOCK, send, socket } from "../../src/sys/socket.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { median } from "./measure.ts";

const [role, address, port, seconds] = process.argv.slice(2) as [string, string, string, string];
const target = inetAddress(parseIP(address)!, Number(port));
const byte = new Uint8Array(new ArrayBuffer(1));
const room = new Uint8Array(new ArrayBuffer(64));

function serve(once: boolean): never {
  const listener = socket(AF.INET, SOCK.STREAM);
  setInt(listener, LEVEL.SOCKET, 2, 1);
  bind(listener, target);
  listen(listener, 512);
  console.log("ready");
  const peer = new SocketAddress();
  for (;;) {
    const fd = acceptSocket(listener, peer);
    if (fd < 0) continue;
    setNonBlocking(fd, false);
    setInt(fd, LEVEL.TCP, TCP_OPTION.NODELAY, 1);
    try {
      while (recv(fd, room) > 0) {
        send(fd, byte);
        if (once) break;
      }
    } catch {
      // The caller has reset its connection.
    }
    closeFd(fd);
  }
}

function open(): number {
  const fd = socket(AF.INET, SOCK.STREAM);
  setInt(fd, LEVEL.TCP, TCP_OPTION.NODELAY, 1);
  connect(fd, target);
  return fd;
}

function ask(fd: number): void {
  send(fd, byte);
  recv(fd, room);
}

function calls(): void {
  const end = performance.now() + Number(seconds) * 1000;
  let count = 0;
  for (; performance.now() < end; count++) {
    const fd = open();
    ask(fd);
    recv(fd, room);
    closeFd(fd);
  }
  console.log(count / Number(seconds));
}

function asks(): void {
  const fd = open();
  const end = performance.now() + Number(seconds) * 1000;
  const times: number[] = [];
  for (let start = performance.now(); start < end; start = performance.now()) {
    ask(fd);
    times.push((performance.now() - start) * 1000);
  }
  console.log(median(times));
}

if (role === "serve" || role === "once") serve(role === "once");
else if (role === "calls") calls();
else asks();
