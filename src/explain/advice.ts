/** Commands that mend what is wrong with a container or a pod. Pure. */
import type { ContainerFacts } from "./facts.ts";

export const startIt = ({ name, isPod }: ContainerFacts) =>
  isPod ? `portolan pod start ${name}` : `portolan start ${name}`;
export const restartIt = ({ name, isPod }: ContainerFacts) =>
  isPod ? `portolan pod restart ${name}` : `portolan restart ${name}`;
export const reloadIt = ({ name, id, isPod }: ContainerFacts) =>
  `portolan network reload ${isPod ? id.slice(0, 12) : name}`;
/** Published ports are decided when it is made. */
export const publishIt = ({ isPod }: ContainerFacts, mapping: string) =>
  isPod ? `make the pod with -p ${mapping}` : `start it with -p ${mapping}`;
