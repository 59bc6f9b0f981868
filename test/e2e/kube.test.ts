/** Played pods by root and by a user: a page through a published port, what a failure leaves, and the way there and back. */
import { expect, test } from "bun:test";
import { eventually, openHost, openUser } from "./world.ts";

const WEB = `
kind: ConfigMap
metadata: {name: page}
data: {index.html: hello}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers:
      - name: first
        image: docker.io/library/busybox:latest
        imagePullPolicy: IfNotPresent
        command: [sh, -c, 'echo ready >/shared/first']
        volumeMounts: [{name: shared, mountPath: /shared}]
      containers:
      - name: server
        image: docker.io/library/busybox:latest
        imagePullPolicy: IfNotPresent
        command: [httpd, -f, -h, /page]
        ports: [{containerPort: 80, hostPort: 8080}]
        volumeMounts: [{name: page, mountPath: /page}, {name: shared, mountPath: /shared}]
      - name: other
        image: docker.io/library/busybox:latest
        imagePullPolicy: IfNotPresent
        command: [sleep, 1000]
        volumeMounts: [{name: shared, mountPath: /shared}]
      volumes: [{name: page, configMap: {name: page}}, {name: shared, emptyDir: {}}]
`;
const BROKEN = `${WEB}---
kind: PersistentVolumeClaim
metadata: {name: claim}
---
kind: Pod
metadata: {name: broken}
spec:
  containers: [{name: c, image: docker.io/library/busybox:latest, imagePullPolicy: Never, command: [/nope]}]
`;

test.each([
  ["root", openHost],
  ["a user", openUser],
] as const)("%s plays a file", async (_, open) => {
  await using caller = await open("busybox");
  const sh = async (script: string, input = "") =>
    await caller.run(["sh", "-c", `cat >/tmp/kube.yaml <<'END'\n${input}\nEND\n${script}`]);
  const left = async () =>
    (
      await sh(
        "portolan pod ps -q; portolan ps -aq; portolan volume ls -q; portolan network ls -q | grep kube",
      )
    ).stdout;

  const failed = await sh("portolan kube play /tmp/kube.yaml", BROKEN);
  expect(failed.code).toBe(125);
  expect(failed.stdout).toBe("");
  expect(failed.stderr).toContain("/nope");
  expect(await left()).toBe("");

  expect(await sh("portolan kube play - </tmp/kube.yaml", WEB)).toMatchObject({ code: 0, stderr: "" });
  expect(await eventually(caller, "curl", "-s", "http://127.0.0.1:8080/")).toBe("hello");
  const shared = await sh(
    "portolan exec web-pod-0-server touch /shared/mark && portolan exec web-pod-0-other ls /shared",
  );
  expect(shared.stdout).toBe("first\nmark\n");
  const generate = "portolan kube generate web-pod-0 | grep -v creationTimestamp";
  const first = await sh(generate);
  expect(first.stdout).toContain("emptyDir: {}");
  expect((await sh("portolan kube down /tmp/kube.yaml", WEB)).stdout).toMatch(
    /^Pods stopped:\n[0-9a-f]{64}\nPods removed:\n[0-9a-f]{64}\n$/,
  );
  expect(await left()).toMatch(/^page\npodman-default-kube-network\n$/);

  expect(await sh("portolan kube play - </tmp/kube.yaml", first.stdout)).toMatchObject({ code: 0 });
  expect(await eventually(caller, "curl", "-s", "http://127.0.0.1:8080/")).toBe("hello");
});
