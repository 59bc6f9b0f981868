/** A user of a host who has our executable under slirp4netns' name. */
import { TestHost } from "../support/host.ts";
import { TestUser } from "../support/user.ts";

/** Our executable under slirp4netns' name. */
export const OURS = "/usr/local/bin/slirp4netns";

const SETUP = `set -e
ln -s portolan ${OURS}
sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip address add 2001:db8::1/64 dev eth0
`;

/** A guest in a user namespace of the user's, and a slirp4netns for it; ends with its standard input. */
const NETWORK = `unshare --user --map-root-user --net sleep infinity &
target=$!
until [ "$(readlink /proc/$target/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
mkfifo ready
"$@" -r 3 $target tap0 3>ready >/dev/null 2>messages &
network=$!
echo $target $network "$(cat ready)"
cat >/dev/null
kill $network
wait $network
echo $?
cat messages
kill $target
`;

/** Such a user, on a host of his own. */
export async function createUser(): Promise<TestUser> {
  const host = await TestHost.create();
  try {
    const user = await TestUser.add(host);
    await host.must("sh", "-c", SETUP);
    return user;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** A guest and its network; pids are the host's. `end` gives the exit code and what was said on standard error. */
export async function network(user: TestUser, options: readonly string[]) {
  const child = Bun.spawn(user.host.words(user.words(["sh", "-c", NETWORK, "sh", OURS, ...options])), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`no network: ${text}`);
    text += Buffer.from(value).toString();
  }
  const [target, network, ready] = text.trim().split(" ");
  return {
    target: Number(target),
    pid: Number(network),
    ready,
    end: async () => {
      child.stdin.end();
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read())
        rest += Buffer.from(part.value).toString();
      await child.exited;
      const [code, ...messages] = rest.split("\n");
      return { code: Number(code), stderr: messages.join("\n") };
    },
  };
}
