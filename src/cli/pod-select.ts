/** Which pods a verb is about: those named, all, the latest, those in a file. */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import type { Pod } from "../container/pod-store.ts";
import type { Invocation } from "./command.ts";
import type { Flag } from "./flags.ts";

export const LATEST_POD: Flag = {
  long: "latest",
  short: "l",
  kind: "bool",
  help: "Act on the latest pod Portolan is aware of",
};
export const POD_ID_FILE: Flag = {
  long: "pod-id-file",
  kind: "array",
  help: "Read the pod ID from the file",
  complete: "file",
};

const NONE_NAMED = "you must provide at least one name or id";

/**
 * The pods named, or those that `--all`, `--latest` or `--pod-id-file` mean. With `lenient`, names that no pod has are
 * passed over.
 */
export function selectPods(
  { flags, args }: Invocation,
  engine: Engine,
  { missing = NONE_NAMED, lenient = false }: { missing?: string; lenient?: boolean } = {},
): Pod[] {
  const files = flags.list("pod-id-file");
  if (flags.bool("all")) {
    if (args.length > 0) throw new UserError("--all and arguments cannot be used together");
    return engine.pods.list();
  }
  if (flags.bool("latest")) {
    if (args.length > 0) throw new UserError("--latest and arguments cannot be used together");
    return [latestPod(engine)];
  }
  const names = [...args, ...files.map(readPodId)];
  if (names.length === 0) throw new UserError(missing);
  return names.flatMap(name => (lenient ? (engine.pods.find(name) ?? []) : engine.pods.get(name)));
}

/** The one pod of `top` and `logs`; what follows it are the other arguments. */
export function selectPod(
  { flags, args }: Invocation,
  engine: Engine,
  missing: string,
): { pod: Pod; rest: string[] } {
  if (flags.bool("latest")) return { pod: latestPod(engine), rest: args };
  if (args.length === 0) throw new UserError(missing);
  return { pod: engine.pods.get(args[0]!), rest: args.slice(1) };
}

function latestPod(engine: Engine): Pod {
  const [newest] = engine.pods.list();
  if (!newest) throw new UserError("no pods found: no such pod", { status: 404 });
  return newest;
}

export function readPodId(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    throw new UserError(`error reading pod ID file: open ${path}: no such file or directory`);
  }
}
