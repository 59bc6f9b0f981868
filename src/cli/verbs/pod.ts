import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import type { Pod } from "../../container/pod-store.ts";
import { membersOfAll, podState } from "../../pod/members.ts";
import { removePod } from "../../pod/remove.ts";
import { killPod, pausePod, restartPod, startPod, stopPod, unpausePod } from "../../pod/run.ts";
import { signalNumber } from "../../sys/process.ts";
import { type Command, type Invocation, print } from "../command.ts";
import type { Flag } from "../flags.ts";
import { goJson } from "../format/json.ts";
import { printObjects } from "../format/output.ts";
import { LATEST_POD, POD_ID_FILE, selectPods } from "../pod-select.ts";
import { report } from "../report.ts";
import { allFlag, formatFlag } from "../select.ts";
import { confirmed, FORCE } from "./prune.ts";

const IGNORE: Flag = {
  long: "ignore",
  short: "i",
  kind: "bool",
  help: "Ignore errors when a specified pod is missing",
};
const TIME: Flag = {
  long: "time",
  short: "t",
  kind: "int",
  help: "Seconds to wait for pod stop before killing the container",
};

/** Does `action` to each pod and prints its id. A failure is reported, and the others are still done. */
async function forEachPod(pods: readonly Pod[], action: (pod: Pod) => Promise<void>): Promise<number> {
  let code = 0;
  for (const pod of pods)
    try {
      await action(pod);
      print(pod.config.id);
    } catch (error) {
      code = report(error);
    }
  return code;
}

const verb = (
  summary: string,
  flags: readonly Flag[],
  act: (invocation: Invocation) => (engine: Engine, pod: Pod) => Promise<void>,
): Command => ({
  summary,
  usage: "[options] POD [POD...]",
  flags,
  async run(invocation) {
    const action = act(invocation);
    const engine = await invocation.engine();
    const lenient = invocation.flags.bool("ignore");
    return forEachPod(selectPods(invocation, engine, { lenient }), pod => action(engine, pod));
  },
});

export const podStart = verb(
  "Start one or more pods",
  [allFlag("Start all pods"), LATEST_POD, POD_ID_FILE],
  () => startPod,
);

export const podStop = verb(
  "Stop one or more pods",
  [allFlag("Stop all running pods"), IGNORE, LATEST_POD, POD_ID_FILE, TIME],
  ({ flags }) =>
    (engine, pod) =>
      stopPod(engine, pod, { time: flags.number("time") }),
);

export const podRestart = verb(
  "Restart one or more pods",
  [allFlag("Restart all running pods"), LATEST_POD],
  () => restartPod,
);

export const podKill = verb(
  "Send the specified signal or SIGKILL to containers in pod",
  [
    allFlag("Kill all containers in all pods"),
    LATEST_POD,
    {
      long: "signal",
      short: "s",
      kind: "string",
      help: "Signal to send to the containers in the pod",
      complete: "signal",
    },
  ],
  ({ flags }) => {
    const word = flags.string("signal") ?? "KILL";
    const number = signalNumber(word);
    if (number === undefined) throw new UserError(`invalid signal: ${word}`);
    return (engine, pod) => killPod(engine, pod, number);
  },
);

export const podPause = verb(
  "Pause one or more pods",
  [allFlag("Pause all running pods"), LATEST_POD],
  () => pausePod,
);

export const podUnpause = verb(
  "Unpause one or more pods",
  [allFlag("Unpause all running pods"), LATEST_POD],
  () => unpausePod,
);

export const podRm: Command = {
  summary: "Remove one or more pods",
  usage: "[options] POD [POD...]",
  flags: [
    allFlag("Remove all running pods"),
    { ...FORCE, help: "Force removal of a running pod by first stopping all containers, then removing them" },
    IGNORE,
    LATEST_POD,
    POD_ID_FILE,
    TIME,
  ],
  async run(invocation) {
    const { flags } = invocation;
    const force = flags.bool("force");
    if (flags.has("time") && !force)
      throw new UserError("--force option must be specified to use the --time option");
    const engine = await invocation.engine();
    const lenient = force || flags.bool("ignore");
    const unknown = lenient ? undefined : invocation.args.find(name => !engine.pods.find(name));
    if (unknown !== undefined)
      throw new UserError(`no pod with name or ID ${unknown} found: no such pod`, { exitCode: 1 });
    return forEachPod(selectPods(invocation, engine, { lenient }), async ({ config }) => {
      try {
        await removePod(engine, config.id, { force, time: flags.number("time") });
      } catch (error) {
        // Somebody else was faster.
        if (!lenient || !(error instanceof UserError) || error.status !== 404) throw error;
      }
    });
  },
};

export const podPrune: Command = {
  summary: "Remove all stopped pods and their containers",
  usage: "[options]",
  flags: [FORCE],
  async run(invocation) {
    if (!(await confirmed(invocation, "WARNING! This will remove all stopped/exited pods.."))) return;
    const engine = await invocation.engine();
    return forEachPod(stoppedPods(engine), ({ config }) => removePod(engine, config.id));
  },
};

/** Pods that have run, and in which nothing runs. */
export function stoppedPods(engine: Engine): Pod[] {
  const of = membersOfAll(engine.containers.list());
  return engine.pods.list().filter(pod => ["Exited", "Stopped"].includes(podState(of(pod).all)));
}

export const podInspect: Command = {
  summary: "Displays a pod configuration",
  usage: "[options] POD [POD...]",
  flags: [formatFlag("f"), LATEST_POD],
  outside: true,
  async run(invocation) {
    const { args, flags } = invocation;
    const engine = await invocation.engine();
    const { inspectPod, withTemplateNames } = await import("../../pod/inspect.ts");
    const latest = flags.bool("latest");
    if (args.length === 0 && !latest) throw new UserError("no names or ids specified");
    const names = latest ? [selectPods(invocation, engine)[0]!.config.id] : args;
    const pods = names.map(name => engine.pods.find(name));
    const found = pods.flatMap(pod => (pod ? [inspectPod(engine, pod)] : []));
    const format = flags.string("format");
    if (format !== undefined && format !== "json")
      printObjects("inspect", found.map(withTemplateNames), format);
    else print(goJson(found.length === 1 ? found[0] : found, 5));
    const missing = names.filter((_, index) => !pods[index]);
    return Math.max(
      0,
      ...missing.map(name =>
        report(new UserError(`inspecting object: no such pod ${name}`, { status: 404 })),
      ),
    );
  },
};
