import type { Engine } from "../../container/engine.ts";
import { type Command, type Invocation, requireArgs } from "../command.ts";

/** Says by its exit code alone whether a thing is there: 0 or 1. */
const exists = (what: string, find: (engine: Engine, name: string) => unknown): Command => ({
  summary: `Check if ${what} exists in local storage`,
  usage: what.split(" ")[1]!.toUpperCase(),
  flags: [],
  outside: true,
  async run(invocation: Invocation) {
    requireArgs(invocation, 1, 1);
    const engine = await invocation.engine();
    return find(engine, invocation.args[0]!) ? 0 : 1;
  },
});

export const containerExists = exists("a container", (engine, name) => engine.containers.find(name));
export const imageExists = exists("an image", (engine, name) => engine.images.find(name));
export const networkExists = exists("a network", (engine, name) => engine.networks.exists(name));
export const volumeExists = exists("a volume", (engine, name) => engine.volumes.find(name));
export const podExists = exists("a pod", (engine, name) => engine.pods.find(name));
