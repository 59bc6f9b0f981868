/**
 * What happens before anything of the program is loaded, so that an ordinary user waits less.
 *
 * The short way inside: a command that can do nothing outside goes into the user namespace at once. What it misses on this
 * way is looked at inside: its flags, the state, the need of a repair.
 */
import { userRunRoot } from "../state/directories.ts";
import { userIdentity } from "../userns/identity.ts";
import { join } from "../userns/join.ts";
import { findPause } from "../userns/pause.ts";

/** Verbs that are always inside, of those that a person waits for. */
export const ALWAYS_INSIDE: readonly string[] = [
  "create",
  "exec",
  "kill",
  "restart",
  "rm",
  "run",
  "start",
  "stop",
];

/** Does not come back where that way is open: no options before the verb, and namespaces that are there already. */
export function takeShortWay(argv: readonly string[]): void {
  if (!ALWAYS_INSIDE.includes(argv[0] ?? "")) return;
  const user = userIdentity();
  if (user?.inside !== false) return;
  const pause = findPause(userRunRoot(user.uid));
  if (pause !== undefined) join(pause, user, argv);
}

/** Words by which a container may get another network than the default one. */
const OTHER_NETWORK = /^--(net|network|pod)(=|$)/;

/**
 * Inside, a `run` will want the helper that makes its namespace, and the network service where that is not there yet,
 * some milliseconds from now: they start while the program is loaded. What is not wanted after all ends by itself.
 */
export async function wakeNetwork(argv: readonly string[]): Promise<void> {
  const user = userIdentity();
  if (!user?.inside || argv[0] !== "run" || argv.some(word => OTHER_NETWORK.test(word))) return;
  const [{ NetworkHelper }, { wakeService }] = await Promise.all([
    import("../network/helper-client.ts"),
    import("../netd/client.ts"),
  ]);
  NetworkHelper.startAhead();
  wakeService(userRunRoot(user.uid));
}
