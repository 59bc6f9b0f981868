/** The rootless session of the article *Understand networking in Podman*, as printed, by an ordinary user. */
import { expect, test } from "bun:test";
import { HOST_ADDRESS, OUTSIDE_ADDRESS } from "../support/host.ts";
import { difference } from "../support/leaks.ts";
import { Outside } from "../support/outside.ts";
import { settledSnapshot } from "../support/user-leaks.ts";
import { eventually, LEAP, loadImages, openRegistry, openUser } from "./world.ts";

const PAGE = "<title>Welcome to nginx!</title>";
const ADDRESS = ["portolan", "inspect", "-f", "{{.NetworkSettings.IPAddress}}"];

for (const pulled of [false, true])
  test(`the article's session: images ${pulled ? "pulled by run" : "loaded"}`, async () => {
    await using user = await openUser("busybox");
    const { host } = user;
    using _outside = await Outside.open(host);
    await using registry = pulled ? await openRegistry("nginx", "leap") : undefined;
    if (registry) await host.useRegistry(registry, ["docker.io", "registry.opensuse.org"]);
    // The user's namespaces stay for the next command, by design.
    await user.must("portolan", "run", "--rm", "busybox", "true");
    const before = await settledSnapshot(user);
    if (!pulled) await loadImages(user, "nginx", "leap");

    const id = await user.must("portolan", "run", "-dt", "--name", "webserver", "-p", "8080:80", "nginx");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await eventually(user, "curl", "-sf", "http://localhost:8080")).toContain(PAGE);
    expect(await user.must(...ADDRESS, "webserver")).toBe("");

    // Its logs know who called: someone on the outside by his own address.
    expect(host.outside.sh("curl", "-sf", `http://${HOST_ADDRESS}:8080`)).toContain(PAGE);
    expect(await user.must("portolan", "logs", "webserver")).toContain(`${OUTSIDE_ADDRESS} - - [`);

    // The second container finds the first by the host's address and the published port.
    await user.must("portolan", "run", "-dt", "--name", "leap", pulled ? LEAP : "leap");
    const shell = user.terminal("portolan", "exec", "-it", "leap", "bash");
    await shell.until(/[#$] $/);
    shell.type(`telnet ${HOST_ADDRESS} 8080\r`);
    await shell.until(/Connected to 192\.168\.77\.2\./);
    shell.type("GET / HTTP/1.0\r\r");
    await shell.until(/<title>Welcome to nginx!<\/title>/);
    await shell.until(/Connection closed by foreign host\.\r\n[\s\S]*[#$] $/);
    shell.type("exit 7\r");
    expect(await shell.exited).toBe(7);
    expect(await user.must(...ADDRESS, "leap")).toBe("");

    const names = await user.must("portolan", "ps", "--format", "{{.Names}} {{.Ports}}", "--sort", "names");
    expect(names.split("\n").map(line => line.trim())).toEqual(["leap", "webserver 0.0.0.0:8080->80/tcp"]);
    await user.must("portolan", "rm", "-f", "-t", "0", "-a", "-v");
    await user.must("portolan", "rmi", "nginx", LEAP);
    expect(difference(before, await settledSnapshot(user))).toEqual([]);
  }, 90_000);
