import { expect, describe as group, test } from "bun:test";
import { ask, element, rootful, socket, verdictOf } from "../../test/support/facts.ts";
import type { NamespaceView } from "../network/namespace-view.ts";

/** The verdict after something was broken. */
function broken(
  from: string,
  to: string,
  port: number,
  breaking: (facts: ReturnType<typeof rootful>) => unknown,
) {
  const facts = rootful();
  breaking(facts);
  return verdictOf(ask(facts, from, to, port));
}

group("what is broken", () => {
  const hostOf = (facts: ReturnType<typeof rootful>) => facts.views.get("host")!;
  const linkOf = (one: NamespaceView, name: string) => one.links.find(link => link.name === name)!;
  for (const [what, said, from, to, breaking] of [
    [
      "bridge",
      "no: bridge cni0 is down",
      "web",
      "db",
      f => Object.assign(linkOf(hostOf(f), "cni0"), { up: false }),
    ],
    [
      "forwarding",
      "no: ip_forward is off on host",
      "internet",
      "db",
      f => Object.assign(hostOf(f).forwarding, { 4: false }),
    ],
    [
      "interface",
      "no: eth0 in web is down",
      "web",
      "db",
      f => Object.assign(linkOf(f.views.get("web")!, "eth0"), { up: false }),
    ],
    [
      "cable",
      "no: db's eth0 is not on bridge cni0 any more",
      "web",
      "db",
      f => Object.assign(linkOf(hostOf(f), "veth1"), { master: 0 }),
    ],
    ["route", "no: no default route in far", "far", "internet", f => f.views.get("far")!.routes.pop()],
    [
      "firewall's map",
      "no: port 8080 of the host was published for db, and that is lost",
      "internet",
      "db",
      f => hostOf(f).firewall!.elements.shift(),
    ],
    [
      "FORWARD",
      "no: host's firewall drops it: FORWARD has the policy DROP",
      "internet",
      "db",
      f => Object.assign(hostOf(f).firewall!.closed, { 4: true }),
    ],
    [
      "way back",
      "no: db has no route back to a caller from outside",
      "internet",
      "db",
      f => f.views.get("db")!.routes.pop(),
    ],
    ["tap", "no: the network service does not serve tap0 of tap", "tap", "db", f => f.service.taps.pop()],
    ["namespace", "no: db is not running", "web", "db", f => f.views.set("db", null)],
    [
      "isolation",
      "no: net2 and podman are isolated from each other",
      "far",
      "db",
      f => hostOf(f).firewall!.elements.push(element("isolated", "cni0"), element("isolated", "cni-2")),
    ],
    [
      "masquerading",
      "no: nothing masquerades 10.88.0.3: answers don't find back to web",
      "web",
      "1.2.3.4",
      f => hostOf(f).firewall!.elements.splice(2, 1),
    ],
  ] as [string, string, string, string, (facts: ReturnType<typeof rootful>) => unknown][])
    test(what, () => {
      expect(broken(from, to, 80, breaking)).toBe(said);
    });

  test("a port that somebody else holds", () => {
    const facts = rootful();
    hostOf(facts).listening.push(socket("0.0.0.0", 22, 14));
    expect(ask(facts, "host", "off", 22).verdict.advice).toEqual([
      "portolan start off",
      "port 22 of the host is held by somebody else: sshd (pid 5)",
    ]);
  });
});
