/** `kube play`, `kube down` and `kube generate` beside podman's, and files of one played by the other. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openPairs, pairs, refused } from "./pairs.ts";
import { Pair } from "./world.ts";

const TAG = "engine tag docker.io/library/busybox localhost/busybox; ";
const file = (text: string) => `${TAG}cat >f.yaml <<'END'\n${text}\nEND\n`;
/** It ends when it is told to. */
const WAIT = `command: [sh, -c, "trap exit TERM; sleep 1000 & wait"]`;
const one = (fields: string, spec = "", more = "") =>
  file(
    `${more}{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app: x}}, spec: {${spec} containers: [{name: c, image: localhost/busybox, ${WAIT}, ${fields}}]}}`,
  );
const CONF = "{kind: ConfigMap, metadata: {name: conf}, data: {FOO: bar, file.txt: hello}}\n---\n";
const PLAY = "engine kube play f.yaml; echo $?; ";
const LEFT = "engine pod ps -q; engine ps -aq; engine volume ls -q";

const callers = openPairs(["root"], "busybox");

pairs(
  callers,
  [
    `${one("", "hostname: hh, hostAliases: [{ip: 1.2.3.4, hostnames: [a, b]}], dnsConfig: {nameservers: [1.1.1.1], searches: [foo], options: [{name: ndots, value: '2'}]},")}${PLAY}engine pod inspect -f '{{.Hostname}} {{.Labels}} {{.ExitPolicy}} {{.State}} {{.NumContainers}} {{.InfraConfig.HostAdd}} {{.InfraConfig.DNSServer}} {{.InfraConfig.DNSSearch}} {{.InfraConfig.DNSOption}} {{.InfraConfig.Networks}}' p; engine exec p-c sh -c 'hostname; grep 1.2.3.4 /etc/hosts'; engine ps --pod --format '{{.Names}} {{.PodName}}' | grep -v infra; engine kube down f.yaml; echo $?; engine kube down f.yaml; echo $?; ${LEFT}`,
    `${one("ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 81}, {containerPort: 53, hostPort: 5353, protocol: UDP, hostIP: 127.0.0.1}]")}${PLAY}engine pod inspect -f '{{.InfraConfig.PortBindings}}' p`,
    `${one("workingDir: /tmp, tty: true, env: [{name: A, value: 'b c'}, {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: K, valueFrom: {configMapKeyRef: {name: conf, key: FOO}}}, {name: M, valueFrom: {resourceFieldRef: {resource: limits.memory}}}], envFrom: [{configMapRef: {name: conf}}], resources: {limits: {memory: 100Mi, cpu: 500m}, requests: {memory: 50Mi}}", "", CONF)}${PLAY}engine exec p-c sh -c 'pwd; echo "$A $N $K $M $FOO"'; engine inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}} {{.HostConfig.NanoCpus}} {{.Config.Tty}} {{.Config.OpenStdin}} {{.HostConfig.RestartPolicy.Name}} {{.Config.Labels}}' p-c`,
    `${one("securityContext: {runAsUser: 1000, runAsGroup: 1001, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {add: [NET_ADMIN], drop: [CHOWN]}}", "restartPolicy: OnFailure,")}${PLAY}engine inspect -f '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.SecurityOpt}} {{.HostConfig.CapAdd}} {{.HostConfig.RestartPolicy.Name}}' p-c; engine exec p-c sh -c 'id -u; id -g; touch /x'`,
    `${one("volumeMounts: [{name: c, mountPath: /c}, {name: e, mountPath: /e}, {name: h, mountPath: /h, readOnly: true}, {name: m, mountPath: /m}]", "volumes: [{name: c, persistentVolumeClaim: {claimName: claim}}, {name: e, emptyDir: {}}, {name: h, hostPath: {path: ./made, type: DirectoryOrCreate}}, {name: m, configMap: {name: conf, items: [{key: FOO, path: foo}]}}],", `${CONF}{kind: PersistentVolumeClaim, metadata: {name: claim}}\n---\n`)}${PLAY}engine exec p-c sh -c 'cat /m/foo; touch /c/x; touch /e/x; touch /h/x'; engine ps -a --format '{{.Names}}' | grep -v infra; engine kube down f.yaml | wc -l; ${LEFT}`,
    `${file(`{kind: Deployment, metadata: {name: d}, spec: {replicas: 2, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: localhost/busybox, ${WAIT}}]}}}}\n---\n{kind: Service, metadata: {name: s}}`)}${PLAY}engine pod ps --sort name --format '{{.Name}} {{.Status}} {{.Labels}}'; engine play kube --down f.yaml | wc -l; engine kube play --start=false f.yaml; engine pod ps --format '{{.Status}}'; engine kube play --replace --start=false f.yaml | wc -l; engine pod ps -q | wc -l`,
    `${one("livenessProbe: {exec: {command: ['true']}, periodSeconds: 5, failureThreshold: 2, timeoutSeconds: 3, initialDelaySeconds: 7}", "hostNetwork: true,")}${PLAY}engine inspect p-c | grep -E '"(Interval|Timeout|StartPeriod|Retries|NetworkMode)"'`,
    ...[
      ["", /does not contain any supported kube kind/],
      ["a: [", /multi doc yaml could not be split/],
      ["kind: Pod", /pod does not have a name/],
      ["kind: ConfigMap\nmetadata: {name: x}", /are not a standalone object and must be used in a container/],
      [
        `${one("volumeMounts: [{name: x, mountPath: /x}]", "volumes: [{name: x}],").split("\n")[1]}`,
        /failed to create volume "x"/,
      ],
      [
        `${one("volumeMounts: [{name: x, mountPath: /x}]", "volumes: [{name: x, configMap: {name: no}}],").split("\n")[1]}`,
        /no such ConfigMap "no"/,
      ],
      [
        `${one("volumeMounts: [{name: x, mountPath: /x}]", "volumes: [{name: x, hostPath: {path: /no, type: File}}],").split("\n")[1]}`,
        /stat \/no: no such file or directory/,
      ],
    ].map(([text, says]) =>
      refused(`${file(text as string)}engine kube play f.yaml; echo $?; ${LEFT}`, says as RegExp),
    ),
    "engine kube play; engine kube play nope; engine kube play a b; engine kube down nope; engine kube generate; engine kube generate nope; engine pod create --name zed >/dev/null; engine generate kube zed 2>&1 | grep -c 'only has an infra container'; engine volume create v; engine kube generate v | grep -v '^#' | sed 's/\"//g'; engine generate kube -f f v; engine generate kube -f f v",
  ],
  { inTurn: true },
);

/** Made by one, played by the other. */
let pair: Pair | undefined;
beforeAll(async () => {
  pair = await Pair.open("busybox");
}, 120_000);
afterAll(() => pair?.[Symbol.asyncDispose]());

test.each([
  ["podman", "portolan"],
  ["portolan", "podman"],
] as const)("what %s generates, %s plays", async (from, to) => {
  const made = await pair!.run(
    from,
    `${TAG}mkdir -p /srv/site; engine pod create --name web -p 8080:80 >/dev/null; engine run -d --name one --pod web -e 'A=b c' -v /srv/site:/site:ro -v data:/data --user 5:6 --workdir /tmp localhost/busybox sh -c 'trap exit TERM; sleep 1000 & wait' >/dev/null; engine kube generate web`,
  );
  expect(made).toMatchObject({ code: 0 });
  const played = await pair!.run(
    to,
    `${TAG}cat >f.yaml <<'END'\n${made.stdout}\nEND\nengine kube play f.yaml >/dev/null; engine exec web-one sh -c 'echo "$A"; id -u; id -g; pwd; touch /site/x'; engine pod inspect -f '{{.InfraConfig.PortBindings}}' web; engine volume ls -q; engine kube down f.yaml | wc -l`,
  );
  expect(played.stdout).toBe("b c\n5\n6\n/tmp\nmap[80/tcp:[{ 8080}]]\ndata\n4\n");
  expect(played.stderr).toContain("Read-only file system");
});
