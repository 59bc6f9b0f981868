/** A container's environment: `envFrom`, then `env`, whose values win. */
import type { Field } from "./fields.ts";
import type { KubeFile, Values } from "./file.ts";
import { parseQuantity } from "./quantity.ts";

/** What `fieldRef` can ask for. */
export interface PodFacts {
  name: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
}

type Sources = Pick<KubeFile, "configMaps" | "secrets">;

/** `K=V`, each name once. */
export function planEnvironment(container: Field, sources: Sources, pod: PodFacts): string[] {
  const env = new Map<string, string>();
  for (const from of container.at("envFrom").list()) {
    const prefix = from.at("prefix").text() ?? "";
    for (const [member, what, all] of [
      ["configMapRef", "configmap", sources.configMaps],
      ["secretRef", "secret", sources.secrets],
    ] as const) {
      const reference = from.at(member);
      if (!reference.given) continue;
      for (const [key, value] of find(reference, what, all) ?? [])
        set(env, from, prefix + key, textOf(value));
    }
  }
  for (const one of container.at("env").list()) {
    const name = one.at("name").needed();
    const source = one.at("valueFrom");
    const value = source.given ? valueFrom(source, container, sources, pod) : (one.at("value").text() ?? "");
    if (value !== undefined) set(env, one, name, value);
  }
  return [...env].map(([name, value]) => `${name}=${value}`);
}

function set(env: Map<string, string>, field: Field, name: string, value: string): void {
  if (name.includes("=") || value.includes("\0"))
    throw field.refuse(`${JSON.stringify(name)} can't be in an environment`);
  env.set(name, value);
}

const textOf = (value: Uint8Array) => Buffer.from(value).toString();

function find(reference: Field, what: string, all: ReadonlyMap<string, Values>): Values | undefined {
  const name = reference.at("name").needed();
  const values = all.get(name);
  if (!values && !reference.at("optional").bool()) throw reference.refuse(`${what} ${name} not found`);
  return values;
}

/** The value; undefined where it is optional and not there. */
function valueFrom(source: Field, container: Field, sources: Sources, pod: PodFacts): string | undefined {
  for (const [member, what, all] of [
    ["configMapKeyRef", "configmap", sources.configMaps],
    ["secretKeyRef", "secret", sources.secrets],
  ] as const) {
    const reference = source.at(member);
    if (!reference.given) continue;
    const key = reference.at("key").needed();
    const value = find(reference, what, all)?.get(key);
    if (!value && !reference.at("optional").bool())
      throw reference.refuse(`key ${key} not found in ${what} ${reference.at("name").text()}`);
    return value && textOf(value);
  }
  const field = source.at("fieldRef").at("fieldPath");
  if (field.given) return fieldValue(field, pod);
  const resource = source.at("resourceFieldRef");
  if (resource.given) return resourceValue(resource, container);
  throw source.refuse("configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef are all that it can be");
}

function fieldValue(field: Field, pod: PodFacts): string {
  const path = field.needed();
  const [, member, key] = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path) ?? [];
  if (member) return pod[member as "labels" | "annotations"][key!] ?? "";
  if (path === "metadata.name") return pod.name;
  throw field.refuse(
    `${JSON.stringify(path)} is not supported: metadata.name, metadata.labels['KEY'] and metadata.annotations['KEY'] are`,
  );
}

/** A limit or request, in units of `divisor`, rounded up. */
function resourceValue(resource: Field, container: Field): string {
  const path = resource.at("resource").needed();
  const [, part, name] = /^(limits|requests)\.(memory|cpu)$/.exec(path) ?? [];
  if (!part || !name) throw resource.at("resource").refuse(`${JSON.stringify(path)} is not supported`);
  const amount = quantity(container.at("resources").at(part).at(name)) ?? 0;
  const divisor = quantity(resource.at("divisor")) || 1;
  return String(Math.ceil(amount / divisor));
}

/** A quantity that is asked for. */
export function quantity(field: Field): number | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const value = parseQuantity(text);
  if (value === undefined) throw field.refuse(`${JSON.stringify(text)} is no quantity`);
  return value;
}
