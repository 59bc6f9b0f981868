/** A host with images, and what the article's person would try there. */
import { buildImage } from "../../scripts/images/build.ts";
import { RECIPES } from "../../scripts/images/recipes.ts";
import { run as inNetns } from "../../src/sys/netns.ts";
import { until } from "../support/await.ts";
import { TestHost } from "../support/host.ts";
import { TestRegistry } from "../support/registry.ts";
import { TestUser } from "../support/user.ts";

export const LEAP = "registry.opensuse.org/opensuse/leap";

/** The article's `/etc/cni/net.d/87-podman-bridge.conflist`. */
export const ARTICLE_CONFLIST = `{
    "cniVersion": "0.3.0",
    "name": "podman",
    "plugins": [
      {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": true,
        "ipMasq": true,
        "ipam": {
            "type": "host-local",
            "subnet": "10.88.0.0/16",
            "routes": [
                { "dst": "0.0.0.0/0" }
            ]
        }
      },
      {
        "type": "portmap",
        "capabilities": {
          "portMappings": true
        }
      }
    ]
}
`;

/** A registry with the images of these names, under the names that they have without their registry. */
export async function openRegistry(...images: string[]): Promise<TestRegistry> {
  const registry = await TestRegistry.start();
  try {
    for (const name of images) {
      const target = RECIPES[name]?.reference.replace(/^[^/]+\//, "");
      registry.push(`docker-archive:${await buildImage(name)}`, target ?? name);
    }
    return registry;
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
}

/** A host with the images of these names (as in `scripts/images/recipes.ts`) loaded. */
export async function openHost(...images: string[]): Promise<TestHost> {
  const host = await TestHost.create();
  try {
    await loadImages(host, ...images);
    return host;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** An ordinary user of a host of his own, with the images of these names loaded. Disposing of him ends the host. */
export async function openUser(...images: string[]): Promise<TestUser & AsyncDisposable> {
  const host = await TestHost.create();
  try {
    const user = await TestUser.add(host);
    await loadImages(user, ...images);
    return Object.assign(user, { [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() });
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whoever runs commands: root of a host, or a user there. */
type Caller = Pick<TestHost, "run" | "must">;

export async function loadImages(caller: Caller, ...images: string[]): Promise<void> {
  for (const name of images) await caller.must("portolan", "load", "-q", "-i", await buildImage(name));
}

/** What `command` prints, once it succeeds: servers take a moment to listen. */
export async function eventually(caller: Caller, ...command: string[]): Promise<string> {
  let last = await caller.run(command);
  await until(
    async () => {
      if (last.code !== 0) last = await caller.run(command);
      return last.code === 0;
    },
    () => `${command.join(" ")}: exit ${last.code}: ${last.stderr || last.stdout}`,
    30,
  );
  return last.stdout;
}

/**
 * Speaks with a server at `address` from the host's network: `speak` is called with each piece that comes and gives what
 * to answer, until it gives `undefined`. Resolves with all that came; also when the server closes or refuses.
 */
export function converse(
  host: TestHost,
  address: string,
  port: number,
  first: Uint8Array | undefined,
  speak: (received: Buffer) => Uint8Array | undefined,
): Promise<Buffer> {
  return new Promise(resolve => {
    let received = Buffer.alloc(0);
    inNetns(`/proc/${host.pid}/ns/net`, () => {
      Bun.connect({
        hostname: address,
        port,
        socket: {
          open(socket) {
            if (first) socket.write(first);
          },
          data(socket, data) {
            received = Buffer.concat([received, data]);
            const answer = speak(data);
            if (answer) socket.write(answer);
            else socket.end();
          },
          close() {
            resolve(received);
          },
          connectError() {
            resolve(received);
          },
        },
      }).catch(() => resolve(received));
    });
  });
}

/** A message of PostgreSQL's frontend/backend protocol 3.0; the first one has no type. */
function message(type: string, body: string): Uint8Array {
  const text = Buffer.from(body, "latin1");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length + 4);
  return Buffer.concat([Buffer.from(type), length, text]);
}

/** Logs in to a PostgreSQL server without a password and asks for `query`; all that the server said, as text. */
export async function askPostgres(host: TestHost, address: string, query: string): Promise<string> {
  let asked = false;
  const said = await converse(
    host,
    address,
    5432,
    message("", "\0\x03\0\0user\0postgres\0database\0postgres\0\0"),
    data => {
      // ReadyForQuery ends the greeting, and later the answer.
      if (!data.subarray(-6).equals(Buffer.from("Z\0\0\0\x05I", "latin1")))
        return data.toString().startsWith("E") ? undefined : new Uint8Array();
      if (asked) return undefined;
      asked = true;
      return message("Q", `${query}\0`);
    },
  );
  return said.toString("latin1");
}
