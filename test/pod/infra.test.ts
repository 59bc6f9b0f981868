/** What holds a pod together: an infra container that is files alone, or a process where one must be. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openHost } from "../e2e/world.ts";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openHost("busybox");
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const sh = (script: string) => host.must("sh", "-c", script);
const infraOf = (pod: string) => sh(`portolan pod inspect -f '{{.InfraContainerID}}' ${pod}`);

test("a pod without ports is no process; with ports, one that sleeps and holds them; both end with it", async () => {
  const sleeping = async () => Number(await sh("ps -e -o args= | grep -c '^portolan-pod-ports:' || true"));
  await sh("portolan pod create plain >/dev/null; portolan pod start plain");
  expect(await sleeping()).toBe(0);
  await sh("portolan pod create web -p 8080:80 >/dev/null; portolan pod start web");
  // It has its name a moment after it is there.
  await until(
    async () => (await sleeping()) === 1,
    () => "nobody holds the port",
  );
  // Nobody else gets the port.
  const other = await host.run(["portolan", "run", "--rm", "-p", "8080:80", "busybox", "true"]);
  expect(other.code).toBe(126);
  expect(other.stderr).toContain("8080");
  await sh("portolan pod stop web");
  expect(await sleeping()).toBe(0);
  await sh("portolan run --rm -p 8080:80 busybox true; portolan pod rm -f -t 0 -a");
  expect(await sh("ls /run/portolan/containers; grep -c namespace /proc/mounts || true")).toBe("0");
});

test("an infra container that is no process says so where one is needed, and is never taken for one of the host's", async () => {
  await sh("portolan pod create web -p 8080:80 >/dev/null; portolan pod start web");
  const infra = await infraOf("web");
  for (const words of [
    ["exec", infra, "sh"],
    ["attach", infra],
    ["cp", `${infra}:/etc/hosts`, "/tmp"],
    ["commit", infra, "image"],
    ["export", "-o", "/tmp/tar", infra],
    ["update", "--memory", "64m", infra],
  ]) {
    const { code, stderr } = await host.run(["portolan", ...words]);
    expect(code).toBe(125);
    expect(stderr).toContain("has no files or processes of its own");
  }
  expect(await sh(`portolan inspect -f '{{.State.Pid}} {{.State.Status}}' ${infra}`)).toBe("0 running");
  expect((await sh(`portolan top ${infra}`)).split("\n").length).toBe(1);
  expect(await sh(`portolan logs ${infra}`)).toBe("");
  await sh("portolan pod rm -f -t 0 web");
});

test("on a network with names a pod is known by its own", async () => {
  await sh("portolan network create shore >/dev/null; portolan pod create db --network shore >/dev/null");
  await sh("portolan run -d --name server --pod db busybox sleep 1000 >/dev/null");
  const address = await sh(
    `portolan inspect -f '{{.NetworkSettings.Networks.shore.IPAddress}}' ${await infraOf("db")}`,
  );
  expect(await sh("portolan run --rm --network shore busybox nslookup db")).toContain(address);
  await sh("portolan pod rm -f -t 0 db; portolan network rm shore");
});

test("a shared pid namespace, and a user namespace of the pod's own, are a process's", async () => {
  await sh(
    "portolan pod create one --share +pid >/dev/null; portolan run -d --name a --pod one busybox sleep 1000",
  );
  await sh("portolan run -d --name b --pod one busybox sleep 1001");
  expect(await sh("portolan exec a ps -o args")).toMatch(/catatonit[\s\S]*sleep 1000[\s\S]*sleep 1001/);
  expect((await sh("portolan pod top one args")).split("\n").length).toBe(4);
  await sh("portolan pod create two --uidmap 0:100000:65536 -p 8080:80 >/dev/null");
  const maps = await sh(
    "portolan run --rm --pod two busybox sh -c 'cat /proc/self/uid_map; ls /sys/class/net'",
  );
  expect(maps).toMatch(/^\s*0\s+100000\s+65536\neth0\nlo$/);
  await sh("portolan pod rm -f -t 0 -a");
});

test("pod stats tells what each container uses", async () => {
  await sh("portolan pod create web >/dev/null; portolan run -d --name one --pod web busybox sleep 1000");
  const lines = (
    await sh("portolan pod stats --no-stream --format '{{.Name}} {{.PIDS}} {{.Pod}}' web")
  ).split("\n");
  expect(lines.map(line => line.replace(/[0-9a-f]{12}/g, "ID"))).toEqual(["ID-infra 0 ID", "one 1 ID"]);
  expect(JSON.parse(await sh("portolan pod stats --no-stream --format json"))).toHaveLength(2);
  const wrong = await host.run(["portolan", "pod", "stats", "--no-stream", "nope"]);
  expect(wrong.stderr).toBe(
    "Error: unable to get list of pods: no pod with name or ID nope found: no such pod\n",
  );
  await sh("portolan pod rm -f -t 0 web");
});

test("after a start of the machine pods have ended, and start anew", async () => {
  await sh(
    "portolan pod create web -p 8080:80 >/dev/null; portolan run -d --name one --pod web busybox sleep 1000",
  );
  // What a boot takes: processes, mounts, the run directory; here they are those of another boot.
  await sh(`pkill -9 conmon; pkill -9 -f ^portolan-pod-ports: || true; pkill -9 -x sleep
    for at in $(awk '$2 ~ "^/(run|var/lib)/portolan/" { print $2 }' /proc/mounts); do umount -l $at; done
    rm -rf /run/portolan /run/netns /run/runc
    printf '%s' 11111111-1111-1111-1111-111111111111 >/tmp/boot; mount --bind /tmp/boot /proc/sys/kernel/random/boot_id`);
  expect(await sh("portolan pod ps --format '{{.Status}}'")).toBe("Exited");
  await sh("portolan pod start web");
  expect(await sh("portolan pod ps --format '{{.Status}}'; portolan exec one hostname")).toBe("Running\nweb");
  await sh("umount /proc/sys/kernel/random/boot_id; portolan pod rm -f -t 0 web");
});

test("a pod whose run directory is lost starts anew", async () => {
  await sh(
    "portolan pod create web -p 8080:80 >/dev/null; portolan create --name one --pod web busybox sleep 1000; portolan pod start web",
  );
  await sh(`portolan stop -t 0 one
    for at in $(awk '$2 ~ "^/run/portolan/" { print $2 }' /proc/mounts); do umount -l $at; done
    rm -rf /run/portolan`);
  await sh("portolan start one");
  expect(await sh("portolan pod ps --format '{{.Status}}'; portolan exec one ls /sys/class/net")).toBe(
    "Running\neth0\nlo",
  );
  await sh("portolan pod rm -f -t 0 web");
});
