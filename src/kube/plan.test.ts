/** From a file's text to what would be made. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { checkPlayable, readKubeFile } from "./file.ts";
import { planPod } from "./pod.ts";
import { parseQuantity } from "./quantity.ts";
import { parseDocuments, yamlText } from "./yaml.ts";

const plans = (text: string) => {
  const file = readKubeFile(text);
  checkPlayable(file);
  return file.pods.map(pod => planPod(pod, file));
};
const pod = (spec: unknown, more = "") =>
  plans(`${more}${JSON.stringify({ kind: "Pod", metadata: { name: "p", labels: { app: "x" } }, spec })}`)[0]!;
const container = (fields: object, spec: object = {}, more = "") =>
  pod({ containers: [{ name: "c", image: "localhost/i", ...fields }], ...spec }, more).containers[0]!;
const CONF = "kind: ConfigMap\nmetadata: {name: conf}\ndata: {FOO: bar, n: 3}\n---\n";

describe("containers", () => {
  test.each<[fields: object, options: object]>([
    [
      {},
      {
        name: "p-c",
        image: "localhost/i",
        pull: "missing",
        restart: "always",
        labels: ["app=x"],
        command: [],
      },
    ],
    [{ image: "docker.io/i" }, { pull: "newer" }],
    [{ image: "docker.io/i:1" }, { pull: "missing" }],
    [{ image: "docker.io/i:1", imagePullPolicy: "Always" }, { pull: "always" }],
    [
      { command: ["sh", "-c"], args: ["a b", 3] },
      { entrypoint: '["sh","-c"]', command: ["a b", "3"] },
    ],
    [
      { workingDir: "/w", tty: true, stdin: true },
      { workdir: "/w", tty: true, interactive: true },
    ],
    [{ env: [{ name: "A", value: 1 }, { name: "B" }] }, { env: ["A=1", "B="] }],
    [{ resources: { limits: { memory: "100Mi", cpu: "500m" } } }, { memory: 104_857_600, cpus: 0.5 }],
    [
      { resources: { requests: { memory: "1M", cpu: 2 } } },
      { memoryReservation: 1_000_000, cpus: undefined },
    ],
    [{ securityContext: { runAsUser: 7, runAsGroup: 8 } }, { user: "7:8" }],
    [{ securityContext: { runAsGroup: 8, readOnlyRootFilesystem: true } }, { user: "0:8", readOnly: true }],
    [{ securityContext: { privileged: true } }, { privileged: true }],
    [{ securityContext: { allowPrivilegeEscalation: false } }, { securityOpt: ["no-new-privileges"] }],
    [{ securityContext: { capabilities: { add: ["A"], drop: ["B"] } } }, { capAdd: ["A"], capDrop: ["B"] }],
    [
      { livenessProbe: { exec: { command: ["a", "b c"] }, periodSeconds: 3 } },
      { healthCmd: '["CMD","a","b c"]', healthInterval: "3s", healthTimeout: "1s", healthRetries: 3 },
    ],
    [
      {
        livenessProbe: { httpGet: { path: "/x?a=1&b", port: "web" } },
        ports: [{ name: "web", containerPort: 80 }],
      },
      { healthCmd: `["CMD-SHELL","curl -f 'http://localhost:80/x?a=1&b' || exit 1"]` },
    ],
    [
      { livenessProbe: { tcpSocket: { port: 80 } } },
      { healthCmd: '["CMD-SHELL","nc -z -v localhost 80 || exit 1"]' },
    ],
  ])("%j", (fields, options) => {
    expect(container(fields).options).toMatchObject(options);
  });

  test("what the pod says counts for each of them", () => {
    const spec = {
      restartPolicy: "OnFailure",
      terminationGracePeriodSeconds: 3,
      hostPID: true,
      hostIPC: true,
      securityContext: { runAsUser: 5, supplementalGroups: [9] },
    };
    const options = {
      restart: "on-failure",
      stopTimeout: 3,
      pidMode: "host",
      ipcMode: "host",
      user: "5",
      groupAdd: ["9"],
    };
    expect(container({}, spec).options).toMatchObject(options);
  });

  test("env wins over envFrom; values come from maps, secrets and the pod", () => {
    const secret = `kind: Secret\nmetadata: {name: s}\ndata: {k: ${btoa("hidden")}}\n---\n`;
    const from = (name: string, valueFrom: object) => ({ name, valueFrom });
    const fields = {
      envFrom: [
        { configMapRef: { name: "conf" } },
        { prefix: "S_", secretRef: { name: "s" } },
        { secretRef: { name: "no", optional: true } },
      ],
      env: [
        { name: "n", value: "mine" },
        from("K", { configMapKeyRef: { name: "conf", key: "FOO" } }),
        from("S", { secretKeyRef: { name: "s", key: "k" } }),
        from("P", { fieldRef: { fieldPath: "metadata.name" } }),
        from("L", { fieldRef: { fieldPath: "metadata.labels['app']" } }),
        from("M", { resourceFieldRef: { resource: "limits.memory", divisor: "1Ki" } }),
        from("O", { configMapKeyRef: { name: "no", key: "FOO", optional: true } }),
      ],
      resources: { limits: { memory: "1025" } },
    };
    expect(container(fields, {}, CONF + secret).options.env).toEqual([
      "FOO=bar",
      "n=mine",
      "S_k=hidden",
      "K=bar",
      "S=hidden",
      "P=p",
      "L=x",
      "M=2",
    ]);
  });
});

test("pods: ports, names, hosts, volumes", () => {
  const plan = pod(
    {
      hostname: "h",
      shareProcessNamespace: true,
      hostAliases: [{ ip: "1.2.3.4", hostnames: ["a", "b"] }],
      dnsConfig: {
        nameservers: ["1.1.1.1"],
        searches: ["s"],
        options: [{ name: "ndots", value: "2" }, { name: "rotate" }],
      },
      volumes: [
        { name: "claim", persistentVolumeClaim: { claimName: "v" } },
        { name: "tmp", emptyDir: {} },
        { name: "host", hostPath: { path: "/h", type: "DirectoryOrCreate" } },
        { name: "conf", configMap: { name: "conf", items: [{ key: "FOO", path: "a/b" }] } },
      ],
      initContainers: [{ name: "i", image: "x" }],
      containers: [
        {
          name: "c",
          image: "x",
          ports: [
            { containerPort: 80 },
            { containerPort: 53, hostPort: 5353, protocol: "UDP", hostIP: "::1" },
          ],
          volumeMounts: [{ name: "conf", mountPath: "/c", subPath: "a/b", readOnly: true }],
        },
      ],
    },
    CONF,
  );
  expect(plan.options).toMatchObject({
    name: "p",
    labels: ["app=x"],
    hostname: "h",
    share: "+pid",
    exitPolicy: "stop",
    publish: ["80:80/tcp", "[::1]:5353:53/udp"],
    addHost: ["a:1.2.3.4", "b:1.2.3.4"],
    dns: ["1.1.1.1"],
    dnsSearch: ["s"],
    dnsOption: ["ndots:2", "rotate"],
  });
  expect([...plan.volumes.values()]).toEqual([
    { kind: "claim", name: "v" },
    { kind: "empty" },
    { kind: "host", path: "/h", type: "DirectoryOrCreate" },
    { kind: "files", name: "conf", files: new Map([["a/b", Uint8Array.from(Buffer.from("bar"))]]) },
  ] as never);
  expect(plan.initial.map(one => one.options.name)).toEqual(["p-i"]);
  expect(plan.containers[0]!.mounts).toEqual([
    { volume: "conf", destination: "/c", subPath: "a/b", readOnly: true },
  ]);
  expect(pod({ hostNetwork: true, containers: [] }).options).toMatchObject({
    network: ["host"],
    publish: undefined,
  });
});

test("deployments make as many pods as they say", () => {
  const text =
    "kind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 2\n  template:\n    spec:\n      containers: [{name: c, image: x}]\n";
  expect(plans(text).map(one => [one.name, one.containers[0]!.options.name])).toEqual([
    ["d-pod-0", "d-pod-0-c"],
    ["d-pod-1", "d-pod-1-c"],
  ]);
  expect(plans(text.replace("  replicas: 2\n", "")).length).toBe(1);
});

const mount = (volume: unknown, more = {}) => ({
  volumes: [volume],
  containers: [{ name: "c", image: "x", volumeMounts: [{ name: "v", mountPath: "/v", ...more }] }],
});
test.each<[spec: unknown, message: string]>([
  [{ containers: { name: "c" } }, "document 1, Pod p: spec.containers: expected a list, found a mapping"],
  [{ containers: [{ name: "c" }] }, "spec.containers[0].image: is needed"],
  [{ containers: [{ image: "x" }] }, "spec.containers[0].name: is needed"],
  [
    { containers: [{ name: "c", image: "x", command: [true] }] },
    "spec.containers[0].command[0]: expected a string, found a boolean",
  ],
  [
    { containers: [{ name: "c", image: "x", ports: [{ containerPort: 70_000 }] }] },
    "70000 is not between 0 and 65535",
  ],
  [
    {
      containers: [
        { name: "c", image: "x" },
        { name: "c", image: "x" },
      ],
    },
    'there are two containers "c"',
  ],
  [
    { restartPolicy: "Sometimes", containers: [{ name: "c", image: "x" }] },
    '"Sometimes" is none of Always, OnFailure, Never',
  ],
  [
    mount({ name: "w", emptyDir: {} }),
    "volume mount v specified for container but not configured in volumes",
  ],
  [mount({ name: "v" }), 'failed to create volume "v": HostPath, ConfigMap, Secret, EmptyDir'],
  [mount({ name: "v", configMap: { name: "no" } }), 'failed to create volume "v": no such ConfigMap "no"'],
  [mount({ name: "v", hostPath: { path: "/x", type: "Bogus" } }), '"Bogus" is none of DirectoryOrCreate'],
  [
    mount({ name: "v", emptyDir: {} }, { subPath: "x" }),
    "is supported for hostPath, configMap and secret volumes only",
  ],
  [mount({ name: "v", hostPath: { path: "/x" } }, { subPath: "../y" }), "leads out of the volume"],
  [
    { containers: [{ name: "c", image: "x", envFrom: [{ configMapRef: { name: "no" } }] }] },
    "configmap no not found",
  ],
])("%j is refused", (spec, message) => {
  expect(() => pod(spec)).toThrow(message);
});

test.each([
  ["", "YAML document does not contain any supported kube kind"],
  ["kind: Service\nmetadata: {name: s}", "YAML document does not contain any supported kube kind"],
  ["kind: Pod", "pod does not have a name"],
  ["kind: ConfigMap\nmetadata: {name: s}", "ConfigMaps in portolan are not a standalone object"],
  ["a: [", "multi doc yaml could not be split: document 1 is no YAML"],
  ["a: 1\n---\nb: c: d", "multi doc yaml could not be split: document 2 is no YAML"],
  ["- 1", "document 1: expected a mapping, found a list"],
  ["kind: {a: b}", "document 1: kind: expected a string, found a mapping"],
])("%j is refused", (text, message) => {
  expect(() => plans(text)).toThrow(message);
});

test.each([
  ["1", 1],
  ["1.5", 1.5],
  [".5", 0.5],
  ["100m", 0.1],
  ["1e3", 1000],
  ["2k", 2000],
  ["1Ki", 1024],
  ["3Gi", 3 * 2 ** 30],
  ["", undefined],
  ["1kb", undefined],
  ["-1", undefined],
  ["1 Mi", undefined],
  ["1e999", undefined],
])("quantity %j", (text, value) => {
  expect(parseQuantity(text)).toBe(value as never);
});

/** Words that the readers look for, with values of any kind at any place. */
const KEYS =
  "name image command args env envFrom value valueFrom configMapKeyRef configMapRef key ports containerPort hostPort protocol volumeMounts mountPath subPath volumes hostPath path type emptyDir configMap items securityContext runAsUser capabilities add resources limits memory livenessProbe httpGet exec port restartPolicy hostAliases ip hostnames dnsConfig options".split(
    " ",
  );
const value = fc.letrec(tie => ({
  any: fc.oneof(
    { depthSize: "medium" },
    fc.constantFrom(
      "",
      "conf",
      "FOO",
      "/x",
      "Always",
      "a=b",
      "\0",
      "100Mi",
      "TCP",
      null,
      true,
      0,
      80,
      -1,
      1.5,
      1e300,
    ),
    fc.string(),
    fc.array(tie("any"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie("any"), { maxKeys: 5 }),
  ),
})).any;

test("any spec gives a plan or a clear refusal", () => {
  fc.assert(
    fc.property(value, value, value, (one, volumes, spec) => {
      try {
        const base = typeof spec === "object" && spec !== null ? spec : {};
        const named = typeof one === "object" && one !== null ? { name: "c", image: "x", ...one } : one;
        expect(pod({ ...base, volumes, containers: [named] }, CONF).name).toBe("p");
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).toMatch(/^document 2, Pod p: /);
      }
    }),
    { numRuns: 1000 },
  );
});

test("any text gives objects or a clear refusal", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("---\n", "kind: Pod\n", "metadata: {name: p}\n", "- ", "  ", "a: ", "\n", "...\n"),
  );
  fc.assert(
    fc.property(fc.array(piece), pieces => {
      try {
        expect(Array.isArray(readKubeFile(pieces.join("")).pods)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
    { numRuns: 1000 },
  );
});

test("texts that could be read as numbers are written so that they are none", () => {
  for (const text of ["+.0", "-.5", "+1", "+.inf", "-.INF", ".nan", "0o7", "1e3", "1_0"]) {
    const told = { key: text, [text]: ["value", text] };
    expect(parseDocuments(yamlText(told))[0]!.value).toEqual(told);
  }
});

test("what is written as YAML is read again as it was", () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom("yes", "1e3", "0x1", "a: b", "a #b", "null", "~", "-", "- a", "12:30", "a\nb", " a"),
  );
  const tree = fc.letrec(tie => ({
    any: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("any")),
      fc.dictionary(
        fc.string().filter(one => one !== "__proto__"),
        tie("any"),
      ),
    ),
  })).any;
  fc.assert(
    fc.property(tree, one => {
      expect(parseDocuments(yamlText({ kind: one }))[0]!.value).toEqual({ kind: one });
    }),
  );
});
