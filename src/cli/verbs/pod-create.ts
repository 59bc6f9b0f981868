import { UserError } from "../../base/errors.ts";
import { createPod, type PodOptions } from "../../pod/create.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { CREATE_FLAGS, createOptions } from "../create-flags.ts";
import type { Flag, Values } from "../flags.ts";
import { pullFor } from "../pull-image.ts";

/** Flags that mean for a pod what they mean for a container. */
const SHARED_FLAGS =
  /^(add-host|cgroup-parent|cpu-shares|cpus|cpuset-cpus|cpuset-mems|device|dns|dns-option|dns-search|gidmap|hostname|ip|ip6|label|label-file|mac-address|memory|memory-swap|name|network|network-alias|no-hosts|pid|publish|replace|security-opt|shm-size|subgidname|subuidname|sysctl|uidmap|userns|uts|volume|volumes-from)$/;

const OWN_FLAGS: readonly Flag[] = [
  {
    long: "exit-policy",
    kind: "string",
    help: 'Behaviour when the last container exits ("continue"|"stop")',
  },
  {
    long: "infra",
    kind: "bool",
    help: "Create an infra container that holds what the pod shares (default true)",
  },
  { long: "infra-command", kind: "string", help: "The command of the infra container" },
  { long: "infra-image", kind: "string", help: "The image of the infra container", complete: "image" },
  { long: "infra-name", kind: "string", help: "The name of the infra container" },
  { long: "pod-id-file", kind: "string", help: "Write the pod ID to the file", complete: "file" },
  {
    long: "share",
    kind: "string",
    help: 'Namespaces that the pod shares: cgroup, ipc, net, pid, uts, none (default "ipc,net,uts")',
  },
  {
    long: "share-parent",
    kind: "bool",
    help: "Set the pod's cgroup as the parent of its containers' (default true)",
  },
];

export const podCreate: Command = {
  summary: "Create a new empty pod",
  usage: "[options] [NAME]",
  flags: [
    ...CREATE_FLAGS.filter(one => SHARED_FLAGS.test(one.long)).map(one =>
      one.long === "name" ? { ...one, short: "n" } : one,
    ),
    ...OWN_FLAGS,
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 0, 1);
    if (args.length > 0 && flags.has("name"))
      throw new UserError("cannot specify --name and NAME at the same time");
    const options = podOptions(flags, args[0]);
    const engine = await invocation.engine();
    const { config } = await createPod(engine, options, {
      pull: pullFor(engine),
      commandLine: invocation.commandLine,
    });
    print(config.id);
  },
};

function podOptions(flags: Values, name: string | undefined): PodOptions {
  const { image, command, ...asked } = createOptions(flags, []);
  return {
    ...asked,
    name: name ?? asked.name,
    share: flags.string("share"),
    shareParent: flags.optionalBool("share-parent"),
    exitPolicy: flags.string("exit-policy"),
    idFile: flags.string("pod-id-file"),
    infra: flags.optionalBool("infra"),
    infraName: flags.string("infra-name"),
    infraImage: flags.string("infra-image"),
    infraCommand: flags.string("infra-command"),
  };
}
