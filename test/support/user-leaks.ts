/** What an ordinary user has on a `TestHost` at one moment, beside all that is there; compared by `difference`. */
import { until } from "./await.ts";
import { type Snapshot, snapshot } from "./leaks.ts";
import type { TestUser } from "./user.ts";

/**
 * Files that stay by design: the database, room for layers and for volumes, locks, what the store found out about its disk, the network service's log and, once its
 * first process was killed, the name of its socket, which the next one takes over.
 */
const STAYING =
  /\/state\.db(-wal|-shm)?$|\/storage-driver$|\/netd\.(log|sock)$|\/last_reserved_ip\.\d+$|\/lock$|\/locks(\/.*)?$|\/portolan\/(volumes|tmp|scratch)$/;

/** Who serves the user's network, and his commands. */
const LEAVING = "_(netd|network)";

/** Mounts in the namespace that the user's pause process holds; none without one. */
const MOUNTS = `for pid in $(pgrep -u "$1" -x catatonit); do
  awk '{ print $5 }' /proc/$pid/mountinfo
done`;

const lines = (text: string) => text.split("\n").filter(Boolean);

/** All that a container can leave on the user's host, in his home and in his mount namespace. */
export async function userSnapshot(user: TestUser): Promise<Snapshot> {
  const { host, home, uid } = user;
  const contents = "-path '*/portolan/layers/*/*' -prune -o";
  // Not at the same time: commands that look would be seen among the processes.
  const all = await snapshot(host);
  const [mounts, files] = await Promise.all([
    host.must("sh", "-c", MOUNTS, "sh", `${uid}`),
    host.must("sh", "-c", `find ${home} -mindepth 1 ${contents} -print`),
  ]);
  return {
    ...all,
    files: (all.files ?? []).filter(path => !STAYING.test(path)),
    "user's mounts": lines(mounts).sort(),
    "user's files": lines(files)
      .filter(path => !STAYING.test(path))
      .sort(),
  };
}

/** The same once nothing is on its way out any more: the user's data plane ends a moment after its last container. */
export async function settledSnapshot(user: TestUser): Promise<Snapshot> {
  let leaving = "";
  await until(
    async () => {
      leaving = await user.host.must("sh", "-c", `ps -e -o args= | grep -E ' [_]${LEAVING}' || true`);
      return leaving === "";
    },
    () => `processes that do not end:\n${leaving}`,
  );
  return userSnapshot(user);
}
