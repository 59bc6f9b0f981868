/** Where an image comes from or goes to besides the store: containers-transports(5). */
import { UserError } from "../base/errors.ts";
import { formatReference, parseReference, type Reference } from "./reference.ts";

export const ARCHIVES = ["docker-archive", "oci-archive"] as const;
export const DIRECTORIES = ["dir", "oci"] as const;

/** A registry's repository, or a path with the name that the image has or gets there. */
export type Place =
  | { transport: "docker"; reference: Reference }
  | {
      transport: (typeof ARCHIVES)[number] | (typeof DIRECTORIES)[number];
      path: string;
      /** As it was typed; undefined where nothing was said. */
      name?: string;
    };

const LOCAL = /^(docker-archive|oci-archive|oci|dir):(.*)$/s;
const OTHERS = /^(docker-daemon|containers-storage|ostree|sif|tarball):/;

/** Reads `docker://REFERENCE`, `TRANSPORT:PATH[:NAME]`, or a reference alone. Throws UserError. */
export function parsePlace(text: string): Place {
  const [, transport, rest = ""] = LOCAL.exec(text) ?? [];
  if (transport !== undefined) {
    // A directory of blobs has no names in it, and may have colons in its own.
    const colon = transport === "dir" ? -1 : rest.indexOf(":");
    const [path, name] = colon < 0 ? [rest] : [rest.slice(0, colon), rest.slice(colon + 1)];
    if (!path) throw new UserError(`invalid image reference ${JSON.stringify(text)}: it has no path`);
    return { transport: transport as "dir", path, ...(name && { name }) };
  }
  const other = OTHERS.exec(text)?.[1];
  if (other)
    throw new UserError(`the transport ${other} is not supported`, {
      hint: "use docker, docker-archive, oci-archive, oci or dir",
    });
  return { transport: "docker", reference: parseReference(text.replace(/^docker:\/\//, "")) };
}

/** A place as podman's messages write it. */
export function formatPlace(place: Place): string {
  if (place.transport === "docker") return `docker://${formatReference(place.reference)}`;
  return `${place.transport}:${place.path}${place.name ? `:${place.name}` : ""}`;
}
