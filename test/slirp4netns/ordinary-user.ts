/** A host with an ordinary user on it: subordinate ids, a runtime directory, a tun device for all, our slirp4netns. */
import { type Outcome, PORTOLAN, type RunOptions, TestHost } from "../support/host.ts";
import type { TestNetns } from "../support/netns.ts";

const NAME = "sailor";
const UID = 4321;
const HOME = `/home/${NAME}`;
const RUNTIME = `/run/user/${UID}`;
/** Our executable under slirp4netns' name. */
export const OURS = "/opt/portolan/slirp4netns";

const SETUP = `set -e
useradd -m -u ${UID} -s /bin/sh ${NAME}
grep -q ^${NAME}: /etc/subuid || echo ${NAME}:200000:65536 >>/etc/subuid
grep -q ^${NAME}: /etc/subgid || echo ${NAME}:200000:65536 >>/etc/subgid
install -d -m 700 -o ${UID} -g ${UID} ${RUNTIME}
mount -t tmpfs -o mode=755 tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
mkdir -p /opt/portolan
touch /opt/portolan/portolan
mount --bind "$1" /opt/portolan/portolan
ln -s portolan ${OURS}
sysctl -qw net.ipv4.ping_group_range="0 2147483647"
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

export class OrdinaryUser implements AsyncDisposable {
  readonly uid = UID;
  readonly home = HOME;

  private constructor(readonly host: TestHost) {}

  static async create(): Promise<OrdinaryUser> {
    const host = await TestHost.create();
    try {
      const { code, stderr } = await host.run(["sh", "-c", SETUP, "setup", PORTOLAN]);
      if (code !== 0) throw new Error(`the user can't be made: ${stderr}`);
      return new OrdinaryUser(host);
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The outside end of the host's cable. */
  get outside(): TestNetns {
    return this.host.outside;
  }

  private words(command: readonly string[]): string[] {
    const identity = ["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--init-groups"];
    const variables = [`HOME=${HOME}`, `USER=${NAME}`, `XDG_RUNTIME_DIR=${RUNTIME}`];
    return [...identity, "env", `--chdir=${HOME}`, ...variables, ...command];
  }

  run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.host.run(this.words(command), options);
  }

  /** Runs a command that must succeed; what it printed. */
  async must(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}: ${stderr || stdout}`);
    return stdout.trimEnd();
  }

  /** Starts a command in the background; who starts it also ends it. */
  spawn(command: readonly string[], options: RunOptions = {}) {
    return this.host.spawn(this.words(command), options);
  }

  /** A guest and its network; pids are the host's. `end` gives the exit code and what was said on standard error. */
  async network(options: readonly string[]) {
    const child = Bun.spawn(this.host.words(this.words(["sh", "-c", NETWORK, "sh", OURS, ...options])), {
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

  [Symbol.asyncDispose](): Promise<void> {
    return this.host[Symbol.asyncDispose]();
  }
}
