/** Which containers need the data plane, and whether it is there. */
import { isServing } from "../netd/service-socket.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";

/** True where the container has something at the data plane: a tap, a way out for its bridges, names. */
export const isServed = ({ user }: Engine, { phase, state }: Container) =>
  (phase === "running" || phase === "initialized") &&
  (state.userMode !== undefined ||
    (user !== undefined && state.attachments.length > 0) ||
    state.attachments.some(one => one.dns.nameservers.length > 0));

/** True where the data plane is gone: a cheap look, for commands that only look. */
export const isLost = ({ paths }: Engine) => !isServing(paths.runRoot);
