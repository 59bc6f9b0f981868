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
 * Inside, a `run` will want the helper that makes its namespace some milliseconds from now: it starts while the program is
 * loaded. One that is not wanted after all ends by itself. (The network service, started here too, would only compete for the
 * processors until the runtime has the container half made.)
 */
export async function wakeHelper(argv: readonly string[]): Promise<void> {
  if (!userIdentity()?.inside || argv[0] !== "run" || argv.some(word => OTHER_NETWORK.test(word))) return;
  const { NetworkHelper } = await import("../network/helper-client.ts");
  NetworkHelper.startAhead();
}
