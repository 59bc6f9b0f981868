/** `--pod new:NAME`: a container and the pod that it is in, made by one command. */
import { UserError } from "../base/errors.ts";
import type { Container } from "../container/config.ts";
import { type CreateContext, createContainer } from "../container/create.ts";
import type { CreateOptions } from "../container/create-options.ts";
import type { Engine } from "../container/engine.ts";
import { createPod } from "./create.ts";
import { removePod } from "./remove.ts";

const NEW = "new:";
const OF_THE_POD = [
  ...(["publish", "network", "networkAlias", "ip", "ip6", "macAddress"] as const),
  ...(["hostname", "addHost", "noHosts", "dns", "dnsSearch", "dnsOption"] as const),
];

/** Makes the pod, which gets the network, the ports and the host name that are asked for, and the container in it. */
export async function createInPod(
  engine: Engine,
  options: CreateOptions,
  context: CreateContext = {},
): Promise<Container> {
  const name = options.pod!.slice(NEW.length);
  if (name === "") throw new UserError("new pod name must be at least one character");
  const mine: Partial<CreateOptions> = { ...options };
  const pods: Pick<CreateOptions, (typeof OF_THE_POD)[number]> = {};
  for (const key of OF_THE_POD) {
    Object.assign(pods, { [key]: options[key] });
    delete mine[key];
  }
  const { config } = await createPod(engine, { ...pods, name }, context);
  let made = false;
  try {
    const { start } = context;
    return await createContainer(
      engine,
      { ...(mine as CreateOptions), pod: config.id },
      {
        ...context,
        ...(start
          ? {
              start: container => {
                made = true;
                return start(container);
              },
            }
          : {}),
      },
    );
  } catch (error) {
    if (!made) await removePod(engine, config.id, { force: true });
    throw error;
  }
}
