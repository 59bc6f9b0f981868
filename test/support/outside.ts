/** What a host finds on the outside of its cable: IPv6 too, a name server, and servers that tell who called. */
import { serveNames } from "./dns-server.ts";
import { HOST_ADDRESS, OUTSIDE_ADDRESS, type TestHost } from "./host.ts";
import type { TestNetns } from "./netns.ts";
import { serveExchanges } from "./transfer.ts";

export const HOST6 = "2001:db8::1";
export const OUTSIDE6 = "2001:db8::2";
export const EXCHANGE_PORT = 7000;

export class Outside implements Disposable {
  private readonly servers: Disposable[] = [];
  private constructor(readonly place: TestNetns) {}

  /** Gives the cable of `host` IPv6, and starts the servers: names at port 53, exchanges (transfer.ts) at 7000. */
  static async open(host: TestHost): Promise<Outside> {
    const { outside } = host;
    outside.sh("ip", "address", "add", `${OUTSIDE6}/64`, "dev", "cable", "nodad");
    await host.must("ip", "address", "add", `${HOST6}/64`, "dev", "eth0", "nodad");
    await host.must("ip", "-6", "route", "add", "default", "via", OUTSIDE6);
    await host.write("/etc/resolv.conf", `nameserver ${OUTSIDE_ADDRESS}\n`);
    await host.write("/etc/hosts", "127.0.0.1\tlocalhost\n");
    const open = new Outside(outside);
    open.servers.push(await serveNames(outside, OUTSIDE_ADDRESS));
    for (const address of [OUTSIDE_ADDRESS, OUTSIDE6])
      open.servers.push(await serveExchanges(outside, address, EXCHANGE_PORT));
    return open;
  }

  [Symbol.dispose](): void {
    for (const server of this.servers) server[Symbol.dispose]();
  }
}

export { HOST_ADDRESS, OUTSIDE_ADDRESS };
