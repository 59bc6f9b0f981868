/** What `run`, `start -a` and `attach` share: our streams on a container's, until it ends or the person detaches. */
import type { Attachment } from "../container/attach.ts";
import type { Container } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Flag } from "./flags.ts";

export const DETACH_KEYS: Flag = {
  long: "detach-keys",
  kind: "string",
  help: "Key sequence for detaching a container (a letter, or ctrl-<letter>; separated by commas)",
};
export const SIG_PROXY: Flag = {
  long: "sig-proxy",
  kind: "bool",
  help: "Proxy received signals to the process (default true)",
};

/** Waits for the end of an attachment; gives the container's exit code, 0 after a detach. */
export async function followToEnd(
  engine: Engine,
  container: Container,
  attachment: Attachment,
  proxy: boolean,
): Promise<number> {
  const { proxySignals } = await import("../container/attach.ts");
  const { awaitExit, cleanupContainer, exitCodeOf, recordContainerEvent } = await import(
    "../container/cleanup.ts"
  );
  recordContainerEvent(engine, container, "attach");
  const stop = proxy ? proxySignals(container.state.pid) : () => {};
  try {
    if ((await attachment.done) === "detached") return 0;
    await awaitExit(engine, container);
    const { id } = container.config;
    const code = exitCodeOf(engine, id);
    await cleanupContainer(engine, id);
    if (code !== undefined) return code;
    // Conmon's exit command was faster, and has put the code where it belongs.
    const { lastExitCode } = await import("../container/wait.ts");
    return engine.containers.byId(id)?.state.exitCode ?? lastExitCode(engine, id);
  } finally {
    stop();
  }
}
