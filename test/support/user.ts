/**
 * Ordinary users of a `TestHost`: a home on a file system of its own, subordinate ids, a runtime directory, and no right
 * to anything else. They call `portolan` and `podman` as anybody would; no control group is theirs.
 */
import type { Outcome, RunOptions, TerminalSession, TestHost } from "./host.ts";
import { PORTOLAN } from "./host.ts";

/** Where each user finds the executable: the working copy may lie where only root can go. */
export const INSTALLED = "/usr/local/bin/portolan";
const PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/** What a host with ordinary users has once; `$1` is our executable. A second call finds all of it there. */
const HOST_SETUP = `set -e
! mountpoint -q ${INSTALLED} || exit 0
mount -t tmpfs -o mode=755 tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
touch ${INSTALLED}
mount --bind "$1" ${INSTALLED}
sysctl -qw net.ipv4.ping_group_range="0 2147483647"
mount --make-rshared /
`;

/** Goes into the host's control groups, and on with the command: the caller's own can't be seen on the host. */
const IN_GROUPS = `for group in $(ls -d /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs 2>/dev/null); do
  echo 0 >"$group"
done
exec "$@"`;

/** `$1` name, `$2` uid and gid, `$3` first subordinate id, empty for none. */
const USER_SETUP = `set -e
name=$1 id=$2 first=$3
groupadd -g "$id" "$name"
useradd -M -u "$id" -g "$id" -s /bin/sh "$name"
sed -i "/^$name:/d" /etc/subuid /etc/subgid
[ -z "$first" ] || echo "$name:$first:65536" | tee -a /etc/subuid >>/etc/subgid
mkdir -p "/home/$name" "/run/user/$id"
mount -t tmpfs -o mode=700,uid=$id,gid=$id tmpfs "/home/$name"
chmod 700 "/run/user/$id"
chown "$id:$id" "/run/user/$id"
`;

export interface UserOptions {
  name?: string;
  uid?: number;
  /** The first of 65,536 subordinate ids; `null` for a user without. */
  subids?: number | null;
}

export class TestUser {
  readonly home: string;
  readonly runtime: string;

  private constructor(
    readonly host: TestHost,
    readonly name: string,
    readonly uid: number,
    readonly subids: number | null,
  ) {
    this.home = `/home/${name}`;
    this.runtime = `/run/user/${uid}`;
  }

  /** Makes a user on `host`. */
  static async add(
    host: TestHost,
    { name = "sailor", uid = 4321, subids = 200_000 }: UserOptions = {},
  ): Promise<TestUser> {
    await host.must("sh", "-c", HOST_SETUP, "setup", PORTOLAN);
    await host.must("sh", "-c", USER_SETUP, "setup", name, `${uid}`, `${subids ?? ""}`);
    return new TestUser(host, name, uid, subids);
  }

  /** The command line, for the host, that runs `command` as the user, in his home. */
  words(command: readonly string[], env: Record<string, string> = {}): string[] {
    const variables = {
      PATH,
      HOME: this.home,
      USER: this.name,
      LOGNAME: this.name,
      XDG_RUNTIME_DIR: this.runtime,
      PODMAN_IGNORE_CGROUPSV1_WARNING: "yes",
      ...env,
    };
    return [
      ...["sh", "-c", IN_GROUPS, "sh"],
      ...["setpriv", `--reuid=${this.uid}`, `--regid=${this.uid}`, "--init-groups", "--inh-caps=-all"],
      ...["env", `--chdir=${this.home}`],
      ...Object.entries(variables).map(([key, value]) => `${key}=${value}`),
      ...command,
    ];
  }

  run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.host.run(this.words(command, options.env), options);
  }

  /** Runs a command that must succeed; what it printed, without the last line's end. */
  async must(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}: ${stderr || stdout}`);
    return stdout.trimEnd();
  }

  /** Starts a command; who starts it also ends it. */
  spawn(command: readonly string[], options: RunOptions = {}) {
    return this.host.spawn(this.words(command, options.env), options);
  }

  /** Runs a command on a pseudo-terminal. */
  terminal(...command: string[]): TerminalSession {
    return this.host.terminal(...this.words(command));
  }

  /** Writes a file that is the user's, with the directories above it; a relative path is below his home. */
  async write(path: string, text: string): Promise<void> {
    const { code, stderr } = await this.run(
      ["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path],
      { stdin: text },
    );
    if (code !== 0) throw new Error(`${path}: ${stderr}`);
  }
}
