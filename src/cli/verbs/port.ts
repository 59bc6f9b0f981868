import { UserError } from "../../base/errors.ts";
import type { Container } from "../../container/config.ts";
import { type Command, print } from "../command.ts";
import { allFlag, LATEST, selectOne } from "../select.ts";

/** `[80/tcp, 0.0.0.0:8080]` for each published port. */
function bindings({ config, state, phase }: Container): [string, string][] {
  const ports = phase === "running" ? state.ports : config.ports;
  return ports.flatMap(({ hostIp, hostPort, containerPort, protocol, range }) =>
    Array.from({ length: range }, (_, index): [string, string] => [
      `${containerPort + index}/${protocol}`,
      `${hostIp.includes(":") ? `[${hostIp}]` : hostIp || "0.0.0.0"}:${hostPort + index}`,
    ]),
  );
}

export const port: Command = {
  summary: "List port mappings or a specific mapping for the container",
  usage: "[options] CONTAINER [PORT[/PROTOCOL]]",
  flags: [allFlag("Display port information for all containers"), LATEST],
  outside: true,
  async run(invocation) {
    const engine = await invocation.engine();
    if (invocation.flags.bool("all")) {
      for (const container of engine.containers.list().filter(one => one.phase === "running"))
        for (const [inner, outer] of bindings(engine.containers.networkOwner(container)))
          print(`${container.config.id.slice(0, 12)}\t${inner} -> ${outer}`);
      return;
    }
    const { container, rest } = selectOne(
      invocation,
      engine,
      "you must supply a running container name or id",
    );
    const all = bindings(engine.containers.networkOwner(container));
    const [wanted] = rest;
    if (wanted === undefined) {
      for (const [inner, outer] of all) print(`${inner} -> ${outer}`);
      return;
    }
    if (!/^\d+(\/(tcp|udp|sctp))?$/.test(wanted))
      throw new UserError(`failed to find published port ${JSON.stringify(wanted)}`);
    const full = wanted.includes("/") ? wanted : `${wanted}/tcp`;
    const found = all.filter(([inner]) => inner === full);
    if (found.length === 0) throw new UserError(`failed to find published port ${JSON.stringify(wanted)}`);
    for (const [, outer] of found) print(outer);
  },
};
