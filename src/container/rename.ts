/** Giving a container another name, by which the others of its networks know it at once. */
import { recordContainerEvent } from "./cleanup.ts";
import type { Engine } from "./engine.ts";
import { checkName } from "./names.ts";
import { namedOf } from "./told-names.ts";

export async function renameContainer(engine: Engine, id: string, name: string): Promise<void> {
  await engine.containers.locked(id, async container => {
    if (container.config.name === name) return;
    checkName(name);
    engine.containers.rename(container, name);
    recordContainerEvent(engine, container, "rename");
    if (container.phase !== "running" && container.phase !== "initialized") return;
    for (const one of container.state.attachments)
      if (one.dns.nameservers.length > 0) await engine.names.join(namedOf(container), one);
  });
}
