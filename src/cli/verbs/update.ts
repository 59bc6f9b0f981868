import { updateContainer } from "../../container/update.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { CREATE_FLAGS, size } from "../create-flags.ts";

const LIMITS = [
  ...[
    "cpu-shares",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
  ],
];

export const update: Command = {
  summary: "Update the limits of an existing container",
  usage: "[options] CONTAINER",
  flags: CREATE_FLAGS.filter(flag => LIMITS.includes(flag.long)),
  async run(invocation) {
    requireArgs(invocation, 1, 1);
    const { flags } = invocation;
    const changes = {
      memory: size(flags, "memory"),
      memorySwap: size(flags, "memory-swap"),
      memoryReservation: size(flags, "memory-reservation"),
      cpus: flags.number("cpus"),
      cpuShares: flags.number("cpu-shares"),
      cpusetCpus: flags.string("cpuset-cpus"),
      cpusetMems: flags.string("cpuset-mems"),
      pidsLimit: flags.number("pids-limit"),
    };
    const engine = await invocation.engine();
    const { id } = engine.containers.get(invocation.args[0]!).config;
    await updateContainer(engine, id, changes);
    print(id);
    return 0;
  },
};
