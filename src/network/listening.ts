/** Sockets that wait for callers, as proc_pid_net(5) lists them: TCP that listens, UDP that is bound and speaks with nobody. Pure. */
import { formatIP } from "../wire/addr.ts";

export interface ListeningSocket {
  protocol: "tcp" | "udp";
  /** `0.0.0.0` and `::` for every address of the family. */
  ip: string;
  port: number;
  /** Number of the socket, as `/proc/PID/fd` shows it. */
  inode: number;
}

const TCP_LISTEN = "0A";
const UDP_UNCONNECTED = "07";

/** Reads one of `/proc/net/{tcp,tcp6,udp,udp6}`; lines of another form are passed over. */
export function parseListening(text: string, protocol: "tcp" | "udp"): ListeningSocket[] {
  const wanted = protocol === "tcp" ? TCP_LISTEN : UDP_UNCONNECTED;
  return text.split("\n").flatMap(line => {
    const fields = line.trim().split(/\s+/);
    const [ip, port] = (fields[1] ?? "").split(":");
    if (fields[3] !== wanted || !ip || !port || !/^([0-9A-F]{8}|[0-9A-F]{32})$/i.test(ip)) return [];
    const inode = Number(fields[9]);
    return Number.isSafeInteger(inode)
      ? [{ protocol, ip: addressOf(ip), port: Number.parseInt(port, 16), inode }]
      : [];
  });
}

/** Words of 32 bits, each as this machine keeps it: the lowest byte first. */
function addressOf(hex: string): string {
  const bytes = Uint8Array.fromHex(hex);
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return formatIP({ family: bytes.length === 4 ? 4 : 6, bytes });
}
