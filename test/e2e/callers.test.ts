/** Callers of an ordinary user's published ports, where the server has the one family of addresses and they the other. */
import { expect, test } from "bun:test";
import { eventually, openUser } from "./world.ts";

const IPV4_ALONE = ["busybox", "httpd", "-f", "-p", "0.0.0.0:80", "-h", "/etc"];
const PAGE = "http://[::1]:8080/hostname";
const ASK = ["curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}\\n"];

for (const network of ["slirp4netns", "bridge"])
  test(`${network}: a server that listens on IPv4 alone answers callers of IPv6, as many as come at once`, async () => {
    await using user = await openUser("busybox");
    const options = ["-d", "--name", "server", "-p", "8080:80", "--network", network];
    await user.must("portolan", "run", ...options, "busybox", ...IPV4_ALONE);
    await eventually(user, "curl", "-sf", "http://127.0.0.1:8080/hostname");
    expect(await user.must(...ASK, PAGE)).toBe("200");
    // More than there are sockets to pass them by without the stack.
    const crowd = `seq 100 | xargs -P 100 -I{} ${ASK.slice(0, -1).join(" ")} '%{http_code}\\n' ${PAGE}?{}`;
    expect((await user.must("sh", "-c", `${crowd} | sort | uniq -c`)).trim()).toBe("100 200");
  }, 60_000);

test("who is refused by both families is refused", async () => {
  await using user = await openUser("busybox");
  await user.must("portolan", "run", "-d", "--name", "server", "-p", "8080:80", "busybox", "sleep", "60");
  const { code, stderr } = await user.run(["curl", "-sS", "-m", "10", "http://[::1]:8080"]);
  // The reset comes while curl is still connecting, or right after.
  expect(`${code} ${stderr}`).toMatch(/^(7 .*Failed to connect|56 .*Connection reset by peer)/);
}, 60_000);
