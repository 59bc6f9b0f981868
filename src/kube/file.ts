/** What a file of Kubernetes objects holds, sorted by kind. */
import { UserError } from "../base/errors.ts";
import { Field } from "./fields.ts";
import { parseDocuments } from "./yaml.ts";

/** A pod that a file asks for; a Deployment asks for several. */
export interface PodObject {
  name: string;
  /** The metadata and spec of a Pod, or of a Deployment's template. */
  body: Field;
}

/** A ConfigMap or Secret: its values by key. */
export type Values = ReadonlyMap<string, Uint8Array>;

export interface KubeFile {
  pods: PodObject[];
  claims: { name: string; labels: Record<string, string>; body: Field }[];
  configMaps: Map<string, Values>;
  secrets: Map<string, Values>;
}

const SKIPPED_ONLY = "YAML document does not contain any supported kube kind";
const MOST_REPLICAS = 1000;
/** RFC 1123's names, with what Podman allows besides. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Reads a file's text. Kinds that a single machine has no use for (Service, …) are passed over, as Podman does. */
export function readKubeFile(text: string): KubeFile {
  const file: KubeFile = { pods: [], claims: [], configMaps: new Map(), secrets: new Map() };
  for (const { number, value } of parseDocuments(text)) {
    const document = new Field(value, `document ${number}`);
    const kind = document.at("kind").text() ?? "";
    const name = document.at("metadata").at("name").text() ?? "";
    const body = new Field(value, `document ${number}, ${kind}${name ? ` ${name}` : ""}`);
    switch (kind) {
      case "Pod":
        file.pods.push({ name: named(body, "pod"), body });
        break;
      case "Deployment":
        file.pods.push(...deployment(body));
        break;
      case "PersistentVolumeClaim":
        file.claims.push({
          name: named(body, "persistent volume claim"),
          labels: body.at("metadata").at("labels").pairs(),
          body,
        });
        break;
      case "ConfigMap":
        file.configMaps.set(named(body, "configmap"), valuesOf(body, "binaryData", "data"));
        break;
      case "Secret":
        file.secrets.set(named(body, "secret"), valuesOf(body, "data", "stringData"));
    }
  }
  return file;
}

/** Throws where there is nothing to make. */
export function checkPlayable({ pods, claims, configMaps, secrets }: KubeFile): void {
  if (pods.length + claims.length > 0) return;
  for (const [kind, { size }] of [
    ["ConfigMap", configMaps],
    ["Secret", secrets],
  ] as const)
    if (size > 0)
      throw new UserError(`${kind}s in portolan are not a standalone object and must be used in a container`);
  throw new UserError(SKIPPED_ONLY);
}

/** The ConfigMaps of a file that is given for them alone. */
export function readConfigMaps(text: string): Map<string, Values> {
  const { configMaps } = readKubeFile(text);
  return configMaps;
}

function named(body: Field, what: string): string {
  const field = body.at("metadata").at("name");
  const name = field.text();
  if (!name) throw new UserError(`${what} does not have a name`);
  if (!NAME.test(name)) throw field.refuse(`${JSON.stringify(name)} is no name`);
  return name;
}

/** `NAME-pod-0`, `NAME-pod-1`, … as many as `replicas` says, one where it says nothing. */
function deployment(body: Field): PodObject[] {
  const name = named(body, "deployment");
  const spec = body.at("spec");
  const count = spec.at("replicas").integer(0, MOST_REPLICAS) ?? 1;
  return Array.from({ length: count }, (_, index) => ({
    name: `${name}-pod-${index}`,
    body: spec.at("template"),
  }));
}

function valuesOf(body: Field, binary: string, plain: string): Values {
  const values = new Map<string, Uint8Array>();
  const add = (field: Field, key: string, value: Uint8Array) => {
    if (!/^[-._a-zA-Z0-9]+$/.test(key) || key === "." || key === "..")
      throw field.refuse(`${JSON.stringify(key)} is no key: letters, digits, -, _ and . make one`);
    values.set(key, value);
  };
  for (const [key, text] of Object.entries(body.at(binary).pairs())) {
    const clean = text.replace(/\s/g, "");
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(clean)) throw body.at(binary).at(key).refuse("is no base64");
    add(body.at(binary), key, Buffer.from(clean, "base64"));
  }
  for (const [key, text] of Object.entries(body.at(plain).pairs()))
    add(body.at(plain), key, Buffer.from(text));
  return values;
}
