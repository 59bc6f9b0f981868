/**
 * A user to whom a control group of the new hierarchy (version 2) was delegated, as systemd does it on today's machines. No
 * controller comes with it here; what is shown is the groups, and the refusal of limits that nothing would enforce.
 */
import { expect, test } from "bun:test";
import { openUser } from "./world.ts";

/** Runs `$2` as the user `$1` in a group of his, on a host that knows no other hierarchy. */
const DELEGATED = `set -e
for procs in /sys/fs/cgroup/unified/cgroup.procs /sys/fs/cgroup/cgroup.procs; do
  [ ! -e "$procs" ] || echo 0 >"$procs"
done
exec unshare --mount --cgroup sh -ec '
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/delegated/session
chown -R "$1" /sys/fs/cgroup/delegated
echo 0 >/sys/fs/cgroup/delegated/session/cgroup.procs
exec setpriv --reuid="$1" --regid="$1" --init-groups sh -c "$2"
' sh "$1" "$2"`;

/** The user's namespaces of before have the host's mounts of before. */
const SESSION = `portolan system migrate
portolan info --format '{{.Host.CgroupManager}} {{.Host.CgroupVersion}}'
portolan run -d --name sleeper --network none busybox sleep 1000 >id
cat "/proc/$(portolan inspect --format '{{.State.Pid}}' sleeper)/cgroup"
portolan run --rm --network none --memory 100m busybox true || echo "exit $?"
portolan run --rm --network none --pids-limit 0 busybox sh -c 'ls -d /sys/fs/cgroup/cgroup.procs'
cat id
portolan rm -f -t 0 sleeper
find /sys/fs/cgroup/delegated -name 'libpod-*'
portolan system migrate`;

test("containers are put into groups of their own below the delegated one, and leave none", async () => {
  await using user = await openUser("busybox");
  const env = { HOME: user.home, USER: user.name, XDG_RUNTIME_DIR: user.runtime };
  const command = ["env", `--chdir=${user.home}`, "sh", "-c", DELEGATED, "sh", `${user.uid}`, SESSION];
  const { code, stdout, stderr } = await user.host.run(command, { env });
  const [manager, ...rest] = stdout.trimEnd().split("\n");
  expect(manager).toBe("cgroupfs v2");
  const [removed, id] = rest.splice(-2).toReversed();
  expect(removed).toBe("sleeper");
  expect(rest).toContain(`0::/delegated/libpod_parent/libpod-${id}`);
  expect(stderr).toBe(
    "Error: --memory: the control group controller memory is not delegated to you (as root, add it to Delegate= of the unit user@.service (systemd.resource-control(5)))\n",
  );
  expect(rest.slice(-2)).toEqual(["exit 125", "/sys/fs/cgroup/cgroup.procs"]);
  expect(code).toBe(0);
});
