/** Debian's podman 4.3.1 in its CNI mode with our dnsname: containers find each other by name. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../../support/await.ts";
import type { TestHost } from "../../support/host.ts";
import { INSTALLED, TestUser } from "../../support/user.ts";
import { clientHost, PLUGINS, script } from "./client-host.ts";

let host: TestHost;
let image: string;
beforeAll(async () => {
  ({ host, image } = await clientHost());
  await script(host, `podman load -q -i ${image}`);
  await script(host, "podman network create one && podman network create two");
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
});

const start = (name: string, ...flags: string[]) =>
  script(host, `podman run -d --name ${name} ${flags.join(" ")} busybox sleep 1000`);
/** What a name is in a container; `none` where it is none. */
const ask = (container: string, name: string, type = "-type=a") =>
  script(
    host,
    `podman exec ${container} nslookup ${type} ${name} | sed -n '/^Name/,$ s/^Address[^:]*: //p; s/.*name = //p' | sort -u; true`,
  ).then(text => text.trim() || "none");
const address = (container: string, network = "one") =>
  script(host, `podman inspect -f '{{.NetworkSettings.Networks.${network}.IPAddress}}' ${container}`);
const listening = () => script(host, "ss -Hlnu 'sport = :53'");
const remove = (...names: string[]) => script(host, `podman rm -f -t 0 ${names.join(" ")}`);

test("podman gives its networks the plugin, and containers its resolver", async () => {
  const [info] = JSON.parse(await script(host, "podman network inspect one"));
  expect(info.dns_enabled).toBe(true);
  const file = JSON.parse(await script(host, "cat /etc/cni/net.d/one.conflist"));
  expect(file.plugins.at(-1)).toEqual({
    type: "dnsname",
    domainName: "dns.podman",
    capabilities: { aliases: true },
  });
  const conf = await script(host, "podman run --rm --network one busybox cat /etc/resolv.conf");
  expect(conf).toStartWith("search dns.podman");
  expect(conf).toContain("nameserver 10.89.0.1");
});

test("names, aliases and short ids come with a container and go with it; the resolver goes with the last", async () => {
  await start("web", "--network", "one", "--network-alias", "site", "--network-alias", "www");
  await start("client", "--network", "one");
  const web = await address("web");
  const id = (await script(host, "podman inspect -f '{{.Id}}' web")).slice(0, 12);
  for (const name of ["web", "web.dns.podman", "WEB", "site", "www.dns.podman", id])
    expect([name, await ask("client", name)]).toEqual([name, web]);
  expect(await ask("web", "client")).toBe(await address("client"));
  expect(await ask("client", web, "")).toBe("web.dns.podman");
  expect(await ask("client", "nobody.dns.podman")).toBe("none");
  await remove("web");
  expect(await ask("client", "web.dns.podman")).toBe("none");
  expect(await ask("client", "client")).toBe(await address("client"));
  await remove("client");
  expect(await listening()).toBe("");
  expect(await script(host, "find /run/portolan/cni-names -type f")).toBe("");
  // Nothing is left to be told, so nobody is there to tell it.
  await until(
    async () => (await script(host, "find /run/portolan -name netd.sock")) === "",
    () => "the network service stays",
  );
});

test("a container on two networks is known on both, and knows the names of both", async () => {
  await start("both", "--network", "one,two");
  await start("inner", "--network", "two");
  await start("outer", "--network", "one");
  expect(await ask("inner", "both")).toBe(await address("both", "two"));
  expect(await ask("outer", "both")).toBe(await address("both"));
  expect(await ask("both", "inner")).toBe(await address("inner", "two"));
  expect(await ask("both", "outer")).toBe(await address("outer"));
  expect(await ask("outer", "inner.dns.podman")).toBe("none");
  await remove("both", "inner", "outer");
});

test("a name survives podman's reload of the network, and the service's end by force", async () => {
  await start("web", "--network", "one");
  await start("client", "--network", "one");
  await script(host, "podman network reload web");
  expect(await ask("client", "web")).toBe(await address("web"));
  // Both of its processes at once, or one would start the other again.
  await script(host, "kill -9 $(pgrep -x 'netd|netd-service')");
  await until(
    async () => (await listening()) === "",
    () => "the resolver is still there",
  );
  // Whoever comes next tells the names of all.
  await start("third", "--network", "one");
  expect(await ask("client", "web")).toBe(await address("web"));
  await remove("web", "client", "third");
});

test("on one network, containers of podman's and of ours know each other", async () => {
  const archive = await script(host, "podman save -q -o /tmp/busybox.tar busybox && echo /tmp/busybox.tar");
  await script(host, `portolan load -q -i ${archive}`);
  await start("theirs", "--network", "one");
  await script(host, "portolan run -d --name ours --network one busybox sleep 1000");
  const ours = await script(host, "portolan inspect -f '{{.NetworkSettings.Networks.one.IPAddress}}' ours");
  expect(await ask("theirs", "ours")).toBe(ours);
  expect(await script(host, "portolan exec ours nslookup -type=a theirs.dns.podman")).toContain(
    await address("theirs"),
  );
  // Ours tells theirs too, should the service have forgotten both.
  await script(host, "portolan stop -t 0 ours && kill -9 $(pgrep -x 'netd|netd-service')");
  await script(host, "portolan start ours");
  expect(await script(host, "portolan exec ours nslookup -type=a theirs.dns.podman")).toContain(
    await address("theirs"),
  );
  await script(host, "portolan rm -f -t 0 ours");
  expect(await ask("theirs", "ours.dns.podman")).toBe("none");
  await remove("theirs");
});

/** The last plugin of the conflist alone, as a runtime would call it. */
const call = (verb: string, id: string, conf: object) =>
  host.run([
    "sh",
    "-c",
    `echo '${JSON.stringify({ cniVersion: "1.1.0", name: "one", type: "dnsname", ...conf })}' |
     CNI_COMMAND=${verb} CNI_CONTAINERID=${id} CNI_NETNS=/run/netns/none CNI_IFNAME=eth0 CNI_PATH=${PLUGINS} ${PLUGINS}/dnsname`,
  ]);

test("CHECK misses names that are not told, GC takes back those of the dead, what makes no sense is refused", async () => {
  await start("web", "--network", "one");
  const id = await script(host, "podman inspect -f '{{.Id}}' web");
  const result = JSON.parse(await script(host, `cat /var/lib/cni/results/one-${id}-eth0`)).result;
  const prevResult = { ...result, cniVersion: "1.1.0" };
  expect((await call("CHECK", id, { prevResult })).stdout).toBe("");
  const other = JSON.parse((await call("CHECK", "other", { prevResult })).stdout);
  expect(other.msg).toBe("names of container other on network one are not told");
  const living = [{ containerID: id, ifname: "eth0" }];
  expect((await call("GC", "", { "cni.dev/valid-attachments": living })).stdout).toBe("");
  expect(await listening()).not.toBe("");
  expect((await call("GC", "", { "cni.dev/valid-attachments": [] })).stdout).toBe("");
  expect(await listening()).toBe("");
  expect(JSON.parse((await call("ADD", "c1", {})).stdout).msg).toBe("must be called as chained plugin");
  expect(JSON.parse((await call("ADD", "c1", { prevResult, domainName: "a b" })).stdout).code).toBe(7);
  expect(JSON.parse((await call("ADD", "c1", { prevResult, domainName: 3 })).stdout).code).toBe(6);
  await remove("web");
});

test("an ordinary user's podman, whose bridges are in a namespace of his", async () => {
  const user = await TestUser.add(host);
  await user.write(".config/containers/storage.conf", '[storage]\ndriver = "vfs"\n');
  await script(host, `install -m 644 ${image} /tmp/users.tar`);
  // Launchers name the executable that wrote them, and he can't go where the working copy is.
  await script(host, `portolan cni uninstall ${PLUGINS} && ${INSTALLED} cni install ${PLUGINS}`);
  const his = (text: string) => user.must("sh", "-ec", text);
  await his("podman load -q -i /tmp/users.tar && podman network create his");
  for (const name of ["web", "client"])
    await his(`podman run -d --name ${name} --network his busybox sleep 1000`);
  const web = await his("podman inspect -f '{{.NetworkSettings.Networks.his.IPAddress}}' web");
  expect(await his("podman exec client nslookup -type=a web.dns.podman")).toContain(`Address: ${web}`);
  await his("podman rm -f -t 0 web");
  expect(await his("podman exec client nslookup -type=a web.dns.podman || true")).toContain("NXDOMAIN");
  await his("podman rm -f -t 0 client");
  await until(
    async () => !(await script(host, "ps -o stat=,comm= -A")).match(/^[^Z]\S* +netd/m),
    () => "a network service stays",
  );
});
