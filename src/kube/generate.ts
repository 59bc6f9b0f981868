/** Kubernetes' YAML of containers, pods and volumes, in the shape that `kube play` and Podman read. */
import { UserError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { Container } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Volume } from "../container/volume.ts";
import { membersOf } from "../pod/members.ts";
import { type PodParts, podObject, publishedPorts } from "./pod-object.ts";
import { yamlText } from "./yaml.ts";

const HEADER = `# Save the output of this file and use kubectl create -f to import
# it into Kubernetes.
#
# Created with portolan-${VERSION}
`;

/** A document for each volume and pod, and one pod of all containers that are in none; with `service`, a Service before each pod. */
export function generate(engine: Engine, names: readonly string[], { service = false } = {}): string {
  const volumes: Volume[] = [];
  const pods: PodParts[] = [];
  const single: Container[] = [];
  for (const name of names) {
    const container = engine.containers.find(name);
    const pod = container ? undefined : engine.pods.find(name);
    const volume = container || pod ? undefined : engine.volumes.find(name);
    if (container?.config.pod)
      throw new UserError(
        `container ${container.config.id} is associated with pod ${container.config.pod}: use generate on the pod itself`,
      );
    if (container) single.push(container);
    else if (pod) {
      const { infra, others } = membersOf(engine, pod);
      if (others.length === 0) throw new UserError(`pod ${pod.config.id} only has an infra container`);
      const { name: podName, labels, share } = pod.config;
      pods.push({
        name: podName,
        labels: Object.keys(labels).length > 0 ? labels : { app: podName },
        holder: infra,
        containers: others,
        sharesPid: share.includes("pid"),
        hostname: infra?.config.hostname ?? "",
      });
    } else if (volume) volumes.push(volume);
    else throw new UserError(`name or ID ${JSON.stringify(name)} not found`, { status: 404 });
  }
  const [first] = single;
  if (first) {
    const name = `${first.config.name}-pod`;
    const { id, hostname } = first.config;
    pods.push({
      name,
      labels: { app: name },
      holder: first,
      containers: single,
      sharesPid: false,
      hostname: id.startsWith(hostname) ? "" : hostname,
    });
  }
  const created = `${new Date().toISOString().slice(0, 19)}Z`;
  const documents = [
    ...volumes.map(one => claimObject(one, created)),
    ...pods.flatMap(one => [
      ...(service ? [serviceObject(one, created)] : []),
      podObject(engine, one, created),
    ]),
  ];
  return HEADER + documents.map(yamlText).join("---\n");
}

const filled = (labels: Readonly<Record<string, string>>) =>
  Object.keys(labels).length > 0 ? labels : undefined;

const claimObject = ({ name, labels }: Volume, created: string): object => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: {
    annotations: { "volume.podman.io/driver": "local" },
    creationTimestamp: created,
    labels: filled(labels),
    name,
  },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  status: {},
});

/** Ports of nodes that Kubernetes gives out by default. */
const NODE_PORTS = { least: 30_000, count: 2768 };

function serviceObject(parts: PodParts, created: string): object {
  const ports = publishedPorts(parts.holder).map(({ containerPort, protocol }) => ({
    name: String(containerPort),
    nodePort: NODE_PORTS.least + Math.floor(Math.random() * NODE_PORTS.count),
    port: containerPort,
    protocol,
    targetPort: containerPort,
  }));
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { creationTimestamp: created, labels: parts.labels, name: parts.name },
    spec: { ports: ports.length > 0 ? ports : undefined, selector: parts.labels, type: "NodePort" },
  };
}
