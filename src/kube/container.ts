/** One container of a pod's spec as what `run` would be asked for. */
import type { CreateOptions } from "../container/create-options.ts";
import { type PodFacts, planEnvironment, quantity } from "./env.ts";
import type { Field } from "./fields.ts";
import type { KubeFile } from "./file.ts";
import { planProbe } from "./probe.ts";
import { type MountPlan, planMounts, type VolumePlan } from "./volumes.ts";

export interface ContainerPlan {
  options: CreateOptions;
  mounts: MountPlan[];
}

export interface PodSurroundings extends Pick<KubeFile, "configMaps" | "secrets"> {
  pod: PodFacts;
  spec: Field;
  volumes: ReadonlyMap<string, VolumePlan>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const MOST_ID = 2 ** 32 - 2;

export function planContainer(field: Field, around: PodSurroundings): ContainerPlan {
  const { pod, spec, volumes } = around;
  const name = field.at("name").needed();
  if (!NAME.test(name)) throw field.at("name").refuse(`${JSON.stringify(name)} is no name`);
  const image = field.at("image").needed();
  const command = field.at("command").texts();
  const grace = spec.at("terminationGracePeriodSeconds").integer(0, 2 ** 31 - 1);
  return {
    mounts: planMounts(field, volumes),
    options: {
      image,
      pull: pullPolicy(field.at("imagePullPolicy"), image),
      name: `${pod.name}-${name}`,
      command: field.at("args").texts(),
      ...(command.length > 0 ? { entrypoint: JSON.stringify(command) } : {}),
      env: planEnvironment(field, around, pod),
      workdir: field.at("workingDir").text(),
      labels: Object.entries(pod.labels).map(([key, value]) => `${key}=${value}`),
      tty: field.at("tty").bool(),
      interactive: field.at("stdin").bool(),
      restart: restartPolicy(spec.at("restartPolicy")),
      ...(grace === undefined ? {} : { stopTimeout: grace }),
      ...(spec.at("hostPID").bool() ? { pidMode: "host" } : {}),
      ...(spec.at("hostIPC").bool() ? { ipcMode: "host" } : {}),
      ...limits(field.at("resources")),
      ...security(field.at("securityContext"), spec.at("securityContext")),
      ...planProbe(field),
    },
  };
}

/** Without a word of it: what is there, but the newest for a tag that says so; a local name can't be pulled. */
function pullPolicy(field: Field, image: string): CreateOptions["pull"] {
  const policy = field.word(["Always", "Never", "IfNotPresent", "Missing", "Newer"]);
  if (policy === "IfNotPresent") return "missing";
  if (policy) return policy.toLowerCase() as CreateOptions["pull"];
  const last = image.slice(image.lastIndexOf("/") + 1);
  const latest = !image.includes("@") && (!last.includes(":") || last.endsWith(":latest"));
  return latest && !image.startsWith("localhost/") ? "newer" : "missing";
}

function restartPolicy(field: Field): string {
  const policy = field.word(["Always", "OnFailure", "Never"]) ?? "Always";
  return policy === "Always" ? "always" : policy === "OnFailure" ? "on-failure" : "no";
}

function limits(resources: Field): Pick<CreateOptions, "memory" | "memoryReservation" | "cpus"> {
  const whole = (field: Field) => {
    const value = quantity(field);
    return value ? Math.floor(value) : undefined;
  };
  return {
    memory: whole(resources.at("limits").at("memory")),
    memoryReservation: whole(resources.at("requests").at("memory")),
    cpus: quantity(resources.at("limits").at("cpu")) || undefined,
  };
}

function security(own: Field, pods: Field): Partial<CreateOptions> {
  const id = (name: string) => own.at(name).integer(0, MOST_ID) ?? pods.at(name).integer(0, MOST_ID);
  const uid = id("runAsUser");
  const gid = id("runAsGroup");
  const groups = pods
    .at("supplementalGroups")
    .list()
    .map(one => String(one.integer(0, MOST_ID)));
  const capabilities = own.at("capabilities");
  const given = (list: string[]) => (list.length > 0 ? list : undefined);
  const seccomp = own.at("seccompProfile").given ? own.at("seccompProfile") : pods.at("seccompProfile");
  const options = [
    ...(own.at("allowPrivilegeEscalation").bool() === false ? ["no-new-privileges"] : []),
    ...(seccomp.at("type").word(["RuntimeDefault", "Unconfined", "Localhost"]) === "Unconfined"
      ? ["seccomp=unconfined"]
      : []),
  ];
  return {
    privileged: own.at("privileged").bool(),
    readOnly: own.at("readOnlyRootFilesystem").bool(),
    capAdd: given(capabilities.at("add").texts()),
    capDrop: given(capabilities.at("drop").texts()),
    securityOpt: given(options),
    ...(uid === undefined && gid === undefined
      ? {}
      : { user: `${uid ?? 0}${gid === undefined ? "" : `:${gid}`}` }),
    groupAdd: given(groups),
  };
}
