/** Whose engine this is: root's, or an ordinary user's, and then on which side of the user namespace we are. */

/** An ordinary user. */
export interface Identity {
  /** As the host numbers them. */
  uid: number;
  gid: number;
  /** True inside the user namespace, where we are root. */
  inside: boolean;
}

/** What Podman, Buildah and Skopeo call these too: inside, they all understand each other. */
const CONFIGURED = "_CONTAINERS_USERNS_CONFIGURED";
const UID = "_CONTAINERS_ROOTLESS_UID";
const GID = "_CONTAINERS_ROOTLESS_GID";

/** The ordinary user whose command this is; undefined for root. */
export function userIdentity(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Identity | undefined {
  const [uid, gid] = [process.geteuid!(), process.getegid!()];
  if (uid !== 0) return { uid, gid, inside: false };
  const told = env[UID] ?? "";
  if (env[CONFIGURED] !== "done" || !/^[1-9]\d*$/.test(told)) return undefined;
  return { uid: Number(told), gid: Number(env[GID] ?? told), inside: true };
}

/** What a program inside is told. */
export function insideEnvironment({ uid, gid }: Identity): Record<string, string> {
  return { [CONFIGURED]: "done", [UID]: String(uid), [GID]: String(gid) };
}
