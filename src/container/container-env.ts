/** `/run/.containerenv`: by its presence a program knows that it runs in a container. */
import { VERSION } from "../base/version.ts";
import type { ContainerConfig } from "./config.ts";

/** Empty, but in a privileged container, which may know where it stands. */
export function containerEnv(config: ContainerConfig): string {
  if (!config.privileged) return "";
  return `engine="portolan-${VERSION}"
name=${JSON.stringify(config.name)}
id=${JSON.stringify(config.id)}
image=${JSON.stringify(config.imageName)}
imageid=${JSON.stringify(config.imageId)}
rootless=0
`;
}
