/** An ordinary user's command goes into his user namespace, where it begins anew. */
import type { Identity } from "../userns/identity.ts";
import { join } from "../userns/join.ts";
import { ensurePause } from "../userns/pause.ts";

export async function goInside(runRoot: string, user: Identity, argv: readonly string[]): Promise<never> {
  const pid = await ensurePause(runRoot, user);
  return join(pid, user, argv);
}
